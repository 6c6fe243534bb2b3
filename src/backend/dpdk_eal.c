/* SPDX-License-Identifier: MIT
 * DPDK's environment layer, started once a process and never ended: rte_eal_cleanup does not undo
 * all that rte_eal_init did, so the memory and the control threads stay until the process ends.
 *
 * It runs on a thread of its own, which is gone when this file's start returns: EAL pins the thread
 * that starts it, and its control threads inherit that thread's signal mask. So the caller's
 * affinity and signals are untouched, and every engine's thread is alike: one that was registered.
 * What EAL and its drivers log goes into a line that refusals quote; nothing is printed, but for
 * what EAL itself writes to stderr when it cannot start.
 *
 * Virtual devices are created after the start, one by one, because then each says why it cannot
 * be. Source: DPDK's "Linux guide", EAL parameters; rte_eal.h, rte_dev.h. */
#include "backend/dpdk.h"

#include <rte_bus.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_version.h>

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64u
#define TEXT_MAX 2048u
#define HUGE_SPARE (UINT64_C(64) << 20) /* what drivers and rings take beside the pool, and slack */
#define SLOT_BYTES 2560u                /* an object of a mempool: slot, mbuf and headers */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool started;
static char memory_text[64];

void dpdk_lock(void)
{
    pthread_mutex_lock(&lock);
}

void dpdk_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

const char *dpdk_memory_text(void)
{
    return memory_text;
}

/* ---- the log -------------------------------------------------------------------------------- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char first_log[160], last_log[160]; /* since log_begin */

static void log_begin(void)
{
    pthread_mutex_lock(&log_lock);
    first_log[0] = last_log[0] = '\0';
    pthread_mutex_unlock(&log_lock);
}

/* Lines that are not empty. Drivers log from threads of their own. */
static ssize_t log_write(void *cookie, const char *text, size_t bytes)
{
    size_t n = bytes;
    (void)cookie;
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        n--;
    if (n == 0)
        return (ssize_t)bytes;
    pthread_mutex_lock(&log_lock);
    snprintf(last_log, sizeof last_log, "%.*s", (int)n, text);
    if (!first_log[0])
        memcpy(first_log, last_log, sizeof first_log);
    pthread_mutex_unlock(&log_lock);
    return (ssize_t)bytes;
}

static const char *log_line(const char *from)
{
    static _Thread_local char copy[sizeof last_log];
    pthread_mutex_lock(&log_lock);
    memcpy(copy, from, sizeof copy);
    pthread_mutex_unlock(&log_lock);
    log_begin();
    return copy[0] ? copy : rte_strerror(rte_errno);
}

const char *dpdk_first_log(void)
{
    return log_line(first_log);
}

static void log_redirect(void)
{
    cookie_io_functions_t functions = {.write = log_write};
    FILE *stream = fopencookie(NULL, "w", functions);
    if (!stream)
        return;
    setvbuf(stream, NULL, _IOLBF, 512);
    rte_openlog_stream(stream);
}

/* ---- arguments ------------------------------------------------------------------------------ */

struct words {
    char *word[WORDS_MAX];
    int n;
    char text[TEXT_MAX];
    size_t used;
};

static void word_add(struct words *w, const char *word)
{
    size_t bytes = strlen(word) + 1;
    if (w->n + 1 >= (int)WORDS_MAX || bytes > sizeof w->text - w->used)
        return;
    w->word[w->n++] = memcpy(w->text + w->used, word, bytes);
    w->used += bytes;
}

static void words_split(struct words *w, const char *text)
{
    char word[512];
    int at = 0, end = 0;
    while (text && sscanf(text + at, " %511s%n", word, &end) == 1) {
        word_add(w, word);
        at += end;
    }
}

/* Did the person give one of these already? */
static bool has_any(const struct words *w, const char *const *names, unsigned n)
{
    for (int i = 0; i < w->n; i++)
        for (unsigned k = 0; k < n; k++)
            if (strncmp(w->word[i], names[k], strlen(names[k])) == 0)
                return true;
    return false;
}
#define HAS(w, ...)                                                                                \
    has_any(w, (const char *const[]){__VA_ARGS__}, array_len(((const char *const[]){__VA_ARGS__})))

/* Of one size. */
static uint64_t huge_free(unsigned long kib)
{
    char path[80];
    unsigned long pages = 0;
    snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%lukB/free_hugepages", kib);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    if (fscanf(f, "%lu", &pages) != 1)
        pages = 0;
    fclose(f);
    return (uint64_t)pages * kib << 10;
}

/* x86-64's two sizes; EAL takes what is mounted or, with --in-memory, both. */
uint64_t dpdk_huge_free(void)
{
    return huge_free(2048) + huge_free(1048576);
}

/* A PCI address: "0000:03:00.0", "03:00.0". */
static bool is_pci(const char *device)
{
    unsigned a, b, c, d;
    char end;
    return device && (sscanf(device, "%x:%x:%x.%u%c", &a, &b, &c, &d, &end) == 4 ||
                      sscanf(device, "%x:%x.%u%c", &a, &b, &c, &end) == 3);
}

/* Hugepages where as many are free as all queues' pools take; else plain memory, said so. */
static void add_memory(struct words *w, struct backend *b, const struct words *user)
{
    const struct weir_frames_opt *o = &b->opt.frames;
    uint64_t need = (uint64_t)b->opt.pool.small * SLOT_BYTES * max_of(o->queues, 1u) + HUGE_SPARE;
    uint64_t have = dpdk_huge_free();
    char megabytes[24];
    if (HAS(user, "--in-memory", "--no-huge", "-m", "--socket-mem", "--huge-", "--legacy-mem"))
        return;
    if (have >= need && !(b->opt.pool.mem_flags & WEIR_MEM_NO_HUGE)) {
        word_add(w, "--in-memory");
        return;
    }
    if (!(b->opt.pool.mem_flags & WEIR_MEM_NO_HUGE))
        backend_lesser(b, -ENOMEM, "dpdk memory", "run sysctl vm.nr_hugepages=256",
                       "hugepages: %llu of %llu MiB free; plain pages are used",
                       (unsigned long long)have >> 20, (unsigned long long)need >> 20);
    snprintf(megabytes, sizeof megabytes, "%llu",
             (unsigned long long)max_of(need >> 20, UINT64_C(512)));
    word_add(w, "--no-huge");
    word_add(w, "--no-shconf"); /* no files of the process under /run */
    word_add(w, "-m");
    word_add(w, megabytes);
}

static void build_words(struct words *w, struct backend *b)
{
    const struct weir_frames_opt *o = &b->opt.frames;
    struct words user = {0};
    char core[16];
    words_split(&user, o->eal);
    word_add(w, "weir");
    word_add(w, "--no-telemetry"); /* a server that nobody asked for */
    if (!HAS(&user, "--log-level"))
        word_add(w, "--log-level=warning");
    if (!HAS(&user, "-l", "-c", "--lcores", "-s")) {
        snprintf(core, sizeof core, "%d", sched_getcpu());
        word_add(w, "-l");
        word_add(w, core);
    }
    if (!HAS(&user, "-a", "--allow", "-b", "--block", "--no-pci") && is_pci(o->device)) {
        word_add(w, "-a");
        word_add(w, o->device);
    } else if (!HAS(&user, "-a", "--allow", "-b", "--block", "--no-pci") &&
               (o->vdev || o->device)) {
        word_add(w, "--no-pci");
        word_add(w, "--iova-mode=va");
    }
    if (o->vdev && strstr(o->vdev, "net_memif") && !HAS(&user, "--single-file-segments"))
        word_add(w, "--single-file-segments"); /* its zero-copy shares them by descriptor */
    add_memory(w, b, &user);
    words_split(w, o->eal);
}

/* ---- the start ------------------------------------------------------------------------------ */

struct start {
    struct words words;
    int rc, err;
};

/* net_af_xdp's libraries print to stderr, where they are loaded and nobody told them otherwise. */
static void hush(const char *library, const char *function)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
    void *(*set_print)(void *) = NULL;
    if (!handle)
        return;
    *(void **)&set_print = dlsym(handle, function);
    if (set_print)
        set_print(NULL);
    dlclose(handle);
}

static void *start_thread(void *arg)
{
    struct start *s = arg;
    s->words.word[s->words.n] = NULL;
    s->rc = rte_eal_init(s->words.n, s->words.word);
    s->err = rte_errno;
    hush("libbpf.so.1", "libbpf_set_print");
    hush("libxdp.so.1", "libxdp_set_print");
    if (s->rc >= 0 && dpdk_pool_register() < 0)
        s->rc = -1;
    return NULL;
}

/* All signals are the process's: EAL's control threads shall take none. */
static int start_apart(struct start *s)
{
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, NULL, start_thread, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_join(thread, NULL);
    return -rc;
}

static const char *remedy(int err)
{
    switch (err) {
    case EACCES:
    case EPERM: return "run as root, or give EAL --no-huge and a virtual device";
    case EALREADY: return "a failed start cannot be tried again: start the process anew";
    case EINVAL: return "look at the EAL arguments (weir_frames_opt.eal)";
    case ENOMEM:
        return "reserve hugepages (sysctl vm.nr_hugepages=256), or give EAL --no-huge -m 512";
    default: return "see DPDK's Linux guide, EAL parameters";
    }
}

static int start_first(struct backend *b, struct weir_why *why)
{
    static struct start s; /* rte_eal_init keeps pointers into its arguments */
    if (s.words.n)
        return why_set(why, -EALREADY, "dpdk", remedy(EALREADY), "EAL failed to start before");
    log_redirect();
    build_words(&s.words, b);
    int rc = start_apart(&s);
    if (rc)
        return why_set(why, rc, "dpdk", "", "no thread to start EAL on");
    if (s.rc < 0)
        return why_set(why, s.err ? -s.err : -EINVAL, "dpdk", remedy(s.err), "%s",
                       log_line(last_log));
    snprintf(memory_text, sizeof memory_text, "%s",
             rte_eal_has_hugepages() ? "hugepages" : "plain pages (--no-huge)");
    started = true;
    return 0;
}

int dpdk_eal_start(struct backend *b, struct weir_why *why)
{
    if (!started)
        return start_first(b, why);
    if (b->opt.frames.eal)
        backend_lesser(b, -EALREADY, "dpdk", "give them to the first engine of the process",
                       "EAL arguments have no effect: it runs already");
    return 0;
}

/* ---- threads -------------------------------------------------------------------------------- */

static _Thread_local unsigned entered;

int dpdk_thread_enter(struct weir_why *why)
{
    if (entered == 0 && rte_thread_register() < 0)
        return why_set(why, -rte_errno, "dpdk", "fewer threads with engines", "thread: %s",
                       dpdk_first_log());
    entered++;
    return 0;
}

void dpdk_thread_leave(void)
{
    if (entered > 0 && --entered == 0)
        rte_thread_unregister();
}

/* ---- virtual devices ------------------------------------------------------------------------ */

struct vdev {
    struct vdev *next;
    unsigned holders;
    bool ours; /* not one that EAL's own arguments named */
    char name[RTE_ETH_NAME_MAX_LEN];
};
static struct vdev *vdevs;

static struct vdev **vdev_find(const char *name)
{
    struct vdev **at = &vdevs;
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

/* Its peer maps the memory by descriptors that plain memory does not have; it would wait for ever. */
static int judge_vdev(const char *spec, struct weir_why *why)
{
    if (strncmp(spec, "net_memif", 9) != 0 || !strstr(spec, "zero-copy=yes") ||
        rte_eal_has_hugepages())
        return 0;
    return why_set(why, -ENOMEM, "dpdk",
                   "run sysctl vm.nr_hugepages=256, or leave out zero-copy=yes",
                   "net_memif without copies needs hugepages");
}

static int vdev_hold(const char *spec, struct weir_why *why)
{
    char name[RTE_ETH_NAME_MAX_LEN];
    uint16_t id;
    if (judge_vdev(spec, why) < 0)
        return -ENOMEM;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(spec, ","), spec);
    struct vdev **at = vdev_find(name), *v = *at;
    if (!v && !(v = calloc(1, sizeof *v)))
        return why_set(why, -ENOMEM, "dpdk", "", "%s", name);
    if (v->holders++)
        return 0;
    memcpy(v->name, name, sizeof name);
    *at = v;
    v->ours = rte_eth_dev_get_port_by_name(name, &id) < 0;
    log_begin();
    int rc = v->ours ? rte_dev_probe(spec) : 0;
    if (rc == 0 && rte_eth_dev_get_port_by_name(name, &id) < 0)
        rc = -ENODEV;
    if (rc == 0)
        return 0;
    *at = v->next;
    free(v);
    return why_set(why, rc, "dpdk",
                   "look at the device's arguments; its driver is in Debian's package librte-net-*",
                   "%s: %s", name, dpdk_first_log());
}

static void vdev_release(const char *spec)
{
    char name[RTE_ETH_NAME_MAX_LEN];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(spec, ","), spec);
    struct vdev **at = vdev_find(name), *v = *at;
    if (!v || --v->holders)
        return;
    if (v->ours)
        rte_eal_hotplug_remove("vdev", v->name);
    *at = v->next;
    free(v);
}

/* Each of a list "a,x=1;b,y=2": the next one, NULL at the end. */
static const char *next_spec(const char *list, char *spec, size_t bytes)
{
    size_t n = strcspn(list, ";");
    if (*list == '\0')
        return NULL;
    snprintf(spec, bytes, "%.*s", (int)n, list);
    return list + n + (list[n] == ';');
}

int dpdk_vdevs_hold(const char *list, char *first, size_t bytes, struct weir_why *why)
{
    char spec[512];
    const char *at = list, *next;
    for (; (next = next_spec(at, spec, sizeof spec)); at = next) {
        int rc = vdev_hold(spec, why);
        if (rc) { /* those before it are held: give them back */
            snprintf(spec, sizeof spec, "%.*s", (int)min_of(at - list, 511), list);
            dpdk_vdevs_release(spec);
            return rc;
        }
        if (at == list)
            snprintf(first, bytes, "%.*s", (int)strcspn(spec, ","), spec);
    }
    return 0;
}

void dpdk_vdevs_release(const char *list)
{
    char spec[512];
    const char *next;
    for (; (next = next_spec(list, spec, sizeof spec)); list = next)
        vdev_release(spec);
}

int dpdk_vdev_renew(const char *list, const char *name)
{
    char spec[512];
    size_t n = strlen(name);
    const struct vdev *v = *vdev_find(name);
    while (v && v->ours && (list = next_spec(list, spec, sizeof spec))) {
        if (strncmp(spec, name, n) != 0 || (spec[n] != ',' && spec[n] != '\0'))
            continue;
        rte_eal_hotplug_remove("vdev", name);
        log_begin();
        return rte_dev_probe(spec);
    }
    return -ENODEV;
}
