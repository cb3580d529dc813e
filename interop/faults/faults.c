/* Makes a disk fail under a program: preloaded, it lets single calls on chosen files fail.
 *
 * FAULTS is a list, separated by spaces, of CALL:PART:NUMBER:MODE:ERROR: the call of this NUMBER (from 1) on a file
 * whose path holds PART, or ends with it if a $ follows, fails with ERROR.
 *
 *   CALL    write, sync, create, extend, rename or read
 *   MODE    once: only this call, as a failed sync is told once and then forgotten by the system
 *           on: this call and all later ones, as on a full disk; the first write is done in part
 *   ERROR   EIO, ENOSPC, EROFS
 *
 * FAULTS_FILE_BYTES sets the limit of the size of files (RLIMIT_FSIZE), which the system itself enforces.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

enum { FAULTS_MAX = 8, TEXT_MAX = 64 };

enum verdict { GO_ON, FAIL_IN_PART, FAIL };

struct fault {
    char call[TEXT_MAX];
    char part[TEXT_MAX];
    long number;
    int keeps_on;
    int error;
    long seen;
};

static struct fault faults[FAULTS_MAX];
static int fault_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int error_of(const char *name)
{
    if (strcmp(name, "ENOSPC") == 0)
        return ENOSPC;
    if (strcmp(name, "EROFS") == 0)
        return EROFS;
    return EIO;
}

__attribute__((constructor)) static void read_faults(void)
{
    const char *bytes = getenv("FAULTS_FILE_BYTES");
    if (bytes != NULL) {
        struct rlimit limit = {strtoul(bytes, NULL, 10), strtoul(bytes, NULL, 10)};
        setrlimit(RLIMIT_FSIZE, &limit);
        /* Otherwise the system ends the program in place of failing the call. */
        signal(SIGXFSZ, SIG_IGN);
    }
    const char *list = getenv("FAULTS");
    char copy[1024];
    if (list == NULL || strlen(list) >= sizeof copy)
        return;
    strcpy(copy, list);
    char *rest = copy;
    for (char *one; (one = strsep(&rest, " ")) != NULL && fault_count < FAULTS_MAX;) {
        if (*one == 0)
            continue;
        struct fault *fault = &faults[fault_count];
        char mode[TEXT_MAX], error[TEXT_MAX];
        if (sscanf(one, "%63[^:]:%63[^:]:%ld:%63[^:]:%63s", fault->call, fault->part, &fault->number, mode, error) != 5) {
            fprintf(stderr, "faults: cannot read %s\n", one);
            abort();
        }
        fault->keeps_on = strcmp(mode, "on") == 0;
        fault->error = error_of(error);
        fault_count++;
    }
}

static int is_about(const struct fault *fault, const char *path)
{
    size_t length = strlen(fault->part), total = strlen(path);
    if (length == 0 || fault->part[length - 1] != '$')
        return strstr(path, fault->part) != NULL;
    return total >= length - 1 && strncmp(path + total - (length - 1), fault->part, length - 1) == 0;
}

static enum verdict judge_path(const char *call, const char *path)
{
    enum verdict verdict = GO_ON;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < fault_count; i++) {
        struct fault *fault = &faults[i];
        if (strcmp(fault->call, call) != 0 || !is_about(fault, path))
            continue;
        fault->seen++;
        if (fault->seen == fault->number || (fault->seen > fault->number && fault->keeps_on)) {
            verdict = fault->seen == fault->number && fault->keeps_on ? FAIL_IN_PART : FAIL;
            errno = fault->error;
        }
    }
    pthread_mutex_unlock(&lock);
    return verdict;
}

static enum verdict judge(const char *call, int fd)
{
    char link[64], path[4096];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0)
        return GO_ON;
    path[length] = 0;
    return judge_path(call, path);
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

static ssize_t put(const char *name, int fd, const void *bytes, size_t count, off64_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off64_t) = REAL(ssize_t, name, int, const void *, size_t, off64_t);
    switch (judge("write", fd)) {
    case FAIL_IN_PART:
        if (count > 1)
            return real(fd, bytes, count / 2, offset);
        return -1;
    case FAIL:
        return -1;
    default:
        return real(fd, bytes, count, offset);
    }
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
    return put("pwrite64", fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    return put("pwrite", fd, bytes, count, offset);
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    ssize_t (*real)(int, const void *, size_t) = REAL(ssize_t, "write", int, const void *, size_t);
    switch (judge("write", fd)) {
    case FAIL_IN_PART:
        return count > 1 ? real(fd, bytes, count / 2) : -1;
    case FAIL:
        return -1;
    default:
        return real(fd, bytes, count);
    }
}

ssize_t pread64(int fd, void *bytes, size_t count, off64_t offset)
{
    if (judge("read", fd) != GO_ON)
        return -1;
    return REAL(ssize_t, "pread64", int, void *, size_t, off64_t)(fd, bytes, count, offset);
}

int fdatasync(int fd)
{
    return judge("sync", fd) == GO_ON ? REAL(int, "fdatasync", int)(fd) : -1;
}

int fsync(int fd)
{
    return judge("sync", fd) == GO_ON ? REAL(int, "fsync", int)(fd) : -1;
}

int ftruncate64(int fd, off64_t length)
{
    return judge("extend", fd) == GO_ON ? REAL(int, "ftruncate64", int, off64_t)(fd, length) : -1;
}

int rename(const char *from, const char *to)
{
    return judge_path("rename", to) == GO_ON ? REAL(int, "rename", const char *, const char *)(from, to) : -1;
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if ((flags & O_CREAT) && judge_path("create", path) != GO_ON)
        return -1;
    return REAL(int, "open64", const char *, int, ...)(path, flags, mode);
}
