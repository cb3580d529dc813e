/* Canonical text: what differs between two runs of a correct server is replaced by what must not differ. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "drive.h"

enum { CLOCK_SLACK_MS = 120000, TIMES = 4096, SESSIONS = 64, TEXT_BYTES = 1 << 20 };

static struct {
    int64_t base;
    int64_t zxids[TIMES];
    int64_t millis[TIMES];
    int times;
    int64_t sessions[SESSIONS];
    int session_count;
} seen;

static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

void log_start(const char *scenario) {
    memset(&seen, 0, sizeof seen);
    seen.base = -1;
    printf("### %s\n", scenario);
}

void log_line(const char *label, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&output);
    printf("%s ", label);
    vprintf(format, arguments);
    printf("\n");
    pthread_mutex_unlock(&output);
    va_end(arguments);
}

/* A buffer of the caller's thread; a few of them, so that one line can show several values. */
static char *scratch(void) {
    static __thread char *buffers[8];
    static __thread int next;
    next = (next + 1) % 8;
    if (buffers[next] == NULL) {
        buffers[next] = malloc(TEXT_BYTES);
    }
    return buffers[next];
}

static const char *show_zxid(int64_t zxid) {
    char *text = scratch();
    if (zxid <= 0) {
        snprintf(text, TEXT_BYTES, "%lld", (long long)zxid);
        return text;
    }
    if (seen.base < 0) {
        seen.base = zxid;
    }
    snprintf(text, TEXT_BYTES, "%+lld", (long long)(zxid - seen.base));
    return text;
}

static const char *show_moment(int64_t zxid, int64_t millis) {
    if (millis == 0) {
        return "0";
    }
    int at = 0;
    while (at < seen.times && seen.zxids[at] != zxid) {
        at++;
    }
    if (at == seen.times && at < TIMES) {
        seen.zxids[at] = zxid;
        seen.millis[at] = millis;
        seen.times++;
    }
    if (at < TIMES && seen.millis[at] != millis) {
        return "two-times-for-one-zxid";
    }
    struct timeval now;
    gettimeofday(&now, NULL);
    int64_t off = millis - ((int64_t)now.tv_sec * 1000 + now.tv_usec / 1000);
    return llabs(off) < CLOCK_SLACK_MS ? "now" : "odd";
}

static const char *show_session(int64_t session) {
    if (session == 0) {
        return "0";
    }
    int at = 0;
    while (at < seen.session_count && seen.sessions[at] != session) {
        at++;
    }
    if (at == seen.session_count && at < SESSIONS) {
        seen.sessions[seen.session_count++] = session;
    }
    char *text = scratch();
    snprintf(text, TEXT_BYTES, "S%d", at + 1);
    return text;
}

const char *show_stat(const struct Stat *stat) {
    char *text = scratch();
    snprintf(text, TEXT_BYTES, "{c=%s m=%s p=%s ct=%s mt=%s v=%d cv=%d av=%d eph=%s len=%d kids=%d}",
             show_zxid(stat->czxid), show_zxid(stat->mzxid), show_zxid(stat->pzxid),
             show_moment(stat->czxid, stat->ctime), show_moment(stat->mzxid, stat->mtime), stat->version,
             stat->cversion, stat->aversion, show_session(stat->ephemeralOwner), stat->dataLength,
             stat->numChildren);
    return text;
}

const char *show_data(const char *data, int length) {
    char *text = scratch();
    if (length < 0) {
        return "null";
    }
    if (length > 100) {
        snprintf(text, TEXT_BYTES, "<%d bytes>", length);
    } else {
        snprintf(text, TEXT_BYTES, "\"%.*s\"", length, data);
    }
    return text;
}

static int by_name(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

const char *show_names(const struct String_vector *names) {
    char *text = scratch();
    char **sorted = calloc((size_t)names->count + 1, sizeof *sorted);
    memcpy(sorted, names->data, (size_t)names->count * sizeof *sorted);
    qsort(sorted, (size_t)names->count, sizeof *sorted, by_name);
    size_t at = (size_t)snprintf(text, TEXT_BYTES, "[");
    for (int number = 0; number < names->count; number++) {
        const char *gap = number == 0 ? "" : ", ";
        at += (size_t)snprintf(text + at, TEXT_BYTES - at, "%s%s", gap, sorted[number]);
    }
    snprintf(text + at, TEXT_BYTES - at, "]");
    free(sorted);
    return text;
}

const char *show_acl(const struct ACL_vector *acl) {
    char *text = scratch();
    size_t at = (size_t)snprintf(text, TEXT_BYTES, "[");
    for (int number = 0; number < acl->count; number++) {
        const struct ACL *entry = &acl->data[number];
        const char *gap = number == 0 ? "" : " ";
        at += (size_t)snprintf(text + at, TEXT_BYTES - at, "%s%d:%s:%s", gap, entry->perms, entry->id.scheme,
                               entry->id.id);
    }
    snprintf(text + at, TEXT_BYTES - at, "]");
    return text;
}
