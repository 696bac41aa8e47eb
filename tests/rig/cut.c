/* A power cut at any step that a program takes on the disk: LD_PRELOAD=libcut.so, and
 *
 *   CUT_UNDER   the folder (absolute, no links in it); nothing outside is touched or counted
 *   CUT_AT      which step the power goes at, from 1; 0 or absent: never
 *   CUT_LOSES   "nothing": what was done stays; "data": what was written and not synced is gone; "names": also files that were
 *               made, renamed or removed in a folder that was not synced since are as before
 *
 * A step is a write, a sync, a rename, a removal or the making of a file. Of the write at which the power goes half is done. The
 * process ends as by a cut: at once. Built by tests/cuts.rs: cc -shared -fPIC -o libcut.so cut.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define THINGS_MAX 256

struct unsynced { char path[PATH_MAX]; off_t synced; };
struct name { enum { MADE, RENAMED, REMOVED } what; char from[PATH_MAX], to[PATH_MAX], backup[PATH_MAX]; };

static struct unsynced files[THINGS_MAX];
static struct name names[THINGS_MAX];
static int file_count, name_count, steps, backups;
static pthread_mutex_t one_by_one = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_under(const char *path) {
    const char *folder = getenv("CUT_UNDER");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0 && !strstr(path, ".before-the-cut");
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_under(path);
}

static void cut(void) {
    const char *loses = getenv("CUT_LOSES");
    if (loses && strcmp(loses, "nothing") != 0)
        for (int i = 0; i < file_count; i++) if (truncate(files[i].path, files[i].synced)) {}
    if (loses && strcmp(loses, "names") == 0)
        for (int i = name_count - 1; i >= 0; i--) {
            struct name *one = &names[i];
            if (one->what == MADE) REAL(unlink)(one->to);
            if (one->what == RENAMED) REAL(rename)(one->to, one->from);
            if (one->backup[0]) REAL(rename)(one->backup, one->to);
        }
    kill(getpid(), SIGKILL);
    pause();
}

/* Whether the power goes now. */
static int step(void) {
    const char *at = getenv("CUT_AT");
    return ++steps == (at ? atoi(at) : 0);
}

static struct name *remember(int what, const char *from, const char *to) {
    struct name *one = &names[name_count < THINGS_MAX - 1 ? name_count++ : name_count];
    one->what = what;
    one->backup[0] = 0;
    snprintf(one->from, PATH_MAX, "%s", from);
    snprintf(one->to, PATH_MAX, "%s", to);
    if (what != MADE) {
        snprintf(one->backup, PATH_MAX, "%.4000s.%d.before-the-cut", to, ++backups);
        if (link(to, one->backup)) one->backup[0] = 0;
    }
    return one;
}

static void touched(const char *path, off_t length) {
    for (int i = 0; i < file_count; i++) if (!strcmp(files[i].path, path)) return;
    if (file_count == THINGS_MAX) abort();
    snprintf(files[file_count].path, PATH_MAX, "%s", path);
    files[file_count++].synced = length;
}

static void synced(const char *path) {
    for (int i = 0; i < file_count; i++) if (!strcmp(files[i].path, path)) files[i--] = files[--file_count];
    /* A folder: the names in it are for good. */
    size_t length = strlen(path);
    for (int i = 0; i < name_count; i++) {
        char *to = names[i].to;
        if (strncmp(to, path, length) == 0 && to[length] == '/' && !strchr(to + length + 1, '/')) {
            if (names[i].backup[0]) REAL(unlink)(names[i].backup);
            memmove(&names[i], &names[i + 1], sizeof *names * (--name_count - i));
            i--;
        }
    }
}

static int open_counted(const char *path, int flags, mode_t mode) {
    int is_new = (flags & O_CREAT) && is_under(path) && access(path, F_OK) != 0;
    pthread_mutex_lock(&one_by_one);
    if (is_new && step()) cut();
    int fd = REAL(open)(path, flags, mode);
    if (is_new && fd >= 0) remember(MADE, "", path);
    pthread_mutex_unlock(&one_by_one);
    return fd;
}
#define OPEN(name) int name(const char *path, int flags, ...) { va_list rest; va_start(rest, flags); \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; va_end(rest); return open_counted(path, flags, mode); }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *bytes, size_t count) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(write)(fd, bytes, count);
    pthread_mutex_lock(&one_by_one);
    struct stat before;
    if (fstat(fd, &before) == 0) touched(path, before.st_size);
    if (step()) { REAL(write)(fd, bytes, count / 2); cut(); }
    ssize_t written = REAL(write)(fd, bytes, count);
    pthread_mutex_unlock(&one_by_one);
    return written;
}

#define SYNC(name) int name(int fd) { char path[PATH_MAX]; if (!path_of(fd, path)) return REAL(name)(fd); \
    pthread_mutex_lock(&one_by_one); if (step()) cut(); synced(path); pthread_mutex_unlock(&one_by_one); return 0; }
SYNC(fsync)
SYNC(fdatasync)

int rename(const char *from, const char *to) {
    if (!is_under(to)) return REAL(rename)(from, to);
    pthread_mutex_lock(&one_by_one);
    if (step()) cut();
    struct name *one = access(from, F_OK) == 0 ? remember(RENAMED, from, to) : NULL;
    int failed = REAL(rename)(from, to);
    if (failed && one) name_count--;
    for (int i = 0; !failed && i < file_count; i++) if (!strcmp(files[i].path, from)) snprintf(files[i].path, PATH_MAX, "%s", to);
    pthread_mutex_unlock(&one_by_one);
    return failed;
}

int unlink(const char *path) {
    if (!is_under(path) || access(path, F_OK) != 0) return REAL(unlink)(path);
    pthread_mutex_lock(&one_by_one);
    if (step()) cut();
    remember(REMOVED, path, path);
    for (int i = 0; i < file_count; i++) if (!strcmp(files[i].path, path)) files[i--] = files[--file_count];
    int failed = REAL(unlink)(path);
    pthread_mutex_unlock(&one_by_one);
    return failed;
}

__attribute__((destructor)) static void tell(void) {
    const char *file = getenv("CUT_COUNT");
    if (!file) return;
    FILE *out = fopen(file, "w");
    if (out) { fprintf(out, "%d", steps); fclose(out); }
}
