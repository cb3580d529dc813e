/* Named handles: their events in order, and each call of the library as one line of the log. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drive.h"

enum { CLIENTS = 64, DATA_BYTES = 1 << 20 };

struct event {
    char *text;
    int type;
    int state;
    struct event *next;
};

/* The public part comes first, so that a handle's context serves as both. */
struct full_client {
    struct client client;
    struct event *first;
    struct event *last;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct full_client *clients[CLIENTS];
static int client_count;

static const char *event_name(int type) {
    if (type == ZOO_CREATED_EVENT) return "created";
    if (type == ZOO_DELETED_EVENT) return "deleted";
    if (type == ZOO_CHANGED_EVENT) return "changed";
    if (type == ZOO_CHILD_EVENT) return "child";
    if (type == ZOO_SESSION_EVENT) return "session";
    if (type == ZOO_NOTWATCHING_EVENT) return "notwatching";
    return "other";
}

static const char *state_name(int state) {
    if (state == ZOO_EXPIRED_SESSION_STATE) return "expired";
    if (state == ZOO_AUTH_FAILED_STATE) return "auth-failed";
    if (state == ZOO_CONNECTING_STATE) return "connecting";
    if (state == ZOO_ASSOCIATING_STATE) return "associating";
    if (state == ZOO_CONNECTED_STATE) return "connected";
    if (state == ZOO_READONLY_STATE) return "read-only";
    if (state == ZOO_NOTCONNECTED_STATE) return "not-connected";
    return "other";
}

static void on_event(zhandle_t *handle, int type, int state, const char *path, void *context) {
    (void)handle;
    struct full_client *client = context;
    struct event *event = calloc(1, sizeof *event);
    event->text = malloc(PATH_BYTES);
    snprintf(event->text, PATH_BYTES, "! %s %s %s", event_name(type), state_name(state), path == NULL ? "-" : path);
    event->type = type;
    event->state = state;
    pthread_mutex_lock(&lock);
    if (client->last == NULL) {
        client->first = event;
    } else {
        client->last->next = event;
    }
    client->last = event;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static struct timespec deadline(void) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += ANSWER_SECONDS;
    return at;
}

/* The next event, taken off the list; NULL if there is none (in time, when waiting). */
static struct event *take(struct full_client *client, bool wait) {
    struct timespec until = deadline();
    pthread_mutex_lock(&lock);
    while (client->first == NULL && wait && pthread_cond_timedwait(&changed, &lock, &until) == 0) {
    }
    struct event *event = client->first;
    if (event != NULL) {
        client->first = event->next;
        if (client->first == NULL) {
            client->last = NULL;
        }
    }
    pthread_mutex_unlock(&lock);
    return event;
}

static struct client *start(const char *label, const char *address, int timeout_ms, const clientid_t *id) {
    struct full_client *client = calloc(1, sizeof *client);
    client->client.label = label;
    clients[client_count++ % CLIENTS] = client;
    client->client.handle = zookeeper_init(address, on_event, timeout_ms, id, client, 0);
    return &client->client;
}

struct client *client_open(const char *label, const char *address, int timeout_ms) {
    struct client *client = start(label, address, timeout_ms, NULL);
    client_await_state(client, ZOO_CONNECTED_STATE);
    return client;
}

struct client *client_resume(const char *label, const char *address, int timeout_ms, const clientid_t *id) {
    return start(label, address, timeout_ms, id);
}

void client_close(struct client *client) {
    if (client->handle != NULL) {
        zookeeper_close(client->handle);
        client->handle = NULL;
    }
}

void clients_close_all(void) {
    for (int number = 0; number < client_count && number < CLIENTS; number++) {
        client_close(&clients[number]->client);
    }
    client_count = 0;
}

bool client_await_event(struct client *client) {
    struct event *event = take((struct full_client *)client, true);
    log_line(client->label, "%s", event == NULL ? "! no event came" : event->text);
    return event != NULL;
}

void client_await_state(struct client *client, int state) {
    struct event *event;
    do {
        event = take((struct full_client *)client, true);
        log_line(client->label, "%s", event == NULL ? "! no event came" : event->text);
    } while (event != NULL && (event->type != ZOO_SESSION_EVENT || event->state != state));
}

static void on_sync(int rc, const char *value, const void *done) {
    (void)rc;
    (void)value;
    pthread_mutex_lock(&lock);
    *(bool *)done = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* The library's one thread for callbacks runs events and completions in the order they came in. */
static void barrier(struct client *client) {
    bool done = false;
    struct timespec until = deadline();
    if (zoo_async(client->handle, "/", on_sync, &done) != ZOK) {
        return;
    }
    pthread_mutex_lock(&lock);
    while (!done && pthread_cond_timedwait(&changed, &lock, &until) == 0) {
    }
    pthread_mutex_unlock(&lock);
    if (!done) {
        log_line(client->label, "! sync was not answered");
    }
}

void client_events(struct client *client) {
    barrier(client);
    struct event *event;
    while ((event = take((struct full_client *)client, false)) != NULL) {
        log_line(client->label, "%s", event->text);
    }
}

static int by_text(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

void client_events_sorted(struct client *client) {
    char *texts[1024];
    size_t count = 0;
    barrier(client);
    struct event *event;
    while (count < 1024 && (event = take((struct full_client *)client, false)) != NULL) {
        texts[count++] = event->text;
    }
    qsort(texts, count, sizeof *texts, by_text);
    for (size_t number = 0; number < count; number++) {
        log_line(client->label, "%s", texts[number]);
    }
}

static int length_of(const char *data) {
    return data == NULL ? -1 : (int)strlen(data);
}

void do_create(struct client *c, const char *path, const char *data, int mode) {
    char real[PATH_BYTES] = "";
    int rc = zoo_create(c->handle, path, data, length_of(data), &ZOO_OPEN_ACL_UNSAFE, mode, real, sizeof real);
    log_line(c->label, "create %s mode=%d -> %d %s", path, mode, rc, real);
}

void do_create_acl(struct client *c, const char *path, const struct ACL_vector *acl) {
    char real[PATH_BYTES] = "";
    int rc = zoo_create(c->handle, path, "x", 1, acl, ZOO_PERSISTENT, real, sizeof real);
    log_line(c->label, "create %s %s -> %d %s", path, show_acl(acl), rc, real);
}

void do_create2(struct client *c, const char *path, const char *data, int mode, int64_t ttl) {
    char real[PATH_BYTES] = "";
    struct Stat stat;
    int rc = zoo_create2_ttl(c->handle, path, data, length_of(data), &ZOO_OPEN_ACL_UNSAFE, mode, ttl, real,
                             sizeof real, &stat);
    log_line(c->label, "create2 %s mode=%d ttl=%lld -> %d %s %s", path, mode, (long long)ttl, rc, real,
             rc == ZOK ? show_stat(&stat) : "");
}

void do_delete(struct client *c, const char *path, int version) {
    log_line(c->label, "delete %s v=%d -> %d", path, version, zoo_delete(c->handle, path, version));
}

void do_set(struct client *c, const char *path, const char *data, int version) {
    struct Stat stat;
    int rc = zoo_set2(c->handle, path, data, length_of(data), version, &stat);
    log_line(c->label, "set %s v=%d -> %d %s", path, version, rc, rc == ZOK ? show_stat(&stat) : "");
}

void do_get(struct client *c, const char *path, bool watch) {
    static char data[DATA_BYTES];
    int length = sizeof data;
    struct Stat stat;
    int rc = zoo_get(c->handle, path, watch, data, &length, &stat);
    log_line(c->label, "get %s%s -> %d %s %s", path, watch ? " watch" : "", rc,
             rc == ZOK ? show_data(data, length) : "", rc == ZOK ? show_stat(&stat) : "");
}

void do_exists(struct client *c, const char *path, bool watch) {
    struct Stat stat;
    int rc = zoo_exists(c->handle, path, watch, &stat);
    log_line(c->label, "exists %s%s -> %d %s", path, watch ? " watch" : "", rc, rc == ZOK ? show_stat(&stat) : "");
}

void do_children(struct client *c, const char *path, bool watch) {
    struct String_vector names = {0, NULL};
    int rc = zoo_get_children(c->handle, path, watch, &names);
    log_line(c->label, "children %s%s -> %d %s", path, watch ? " watch" : "", rc, rc == ZOK ? show_names(&names) : "");
    deallocate_String_vector(&names);
}

void do_children2(struct client *c, const char *path, bool watch) {
    struct String_vector names = {0, NULL};
    struct Stat stat;
    int rc = zoo_get_children2(c->handle, path, watch, &names, &stat);
    log_line(c->label, "children2 %s%s -> %d %s %s", path, watch ? " watch" : "", rc,
             rc == ZOK ? show_names(&names) : "", rc == ZOK ? show_stat(&stat) : "");
    deallocate_String_vector(&names);
}

void do_get_acl(struct client *c, const char *path) {
    struct ACL_vector acl = {0, NULL};
    struct Stat stat;
    int rc = zoo_get_acl(c->handle, path, &acl, &stat);
    log_line(c->label, "getACL %s -> %d %s %s", path, rc, rc == ZOK ? show_acl(&acl) : "",
             rc == ZOK ? show_stat(&stat) : "");
    deallocate_ACL_vector(&acl);
}

void do_set_acl(struct client *c, const char *path, const struct ACL_vector *acl, int version) {
    int rc = zoo_set_acl(c->handle, path, version, acl);
    log_line(c->label, "setACL %s %s v=%d -> %d", path, show_acl(acl), version, rc);
}

void do_multi(struct client *c, const char *shown, int count, const zoo_op_t *ops) {
    zoo_op_result_t results[64] = {{0}};
    int rc = zoo_multi(c->handle, count, ops, results);
    log_line(c->label, "multi %s -> %d", shown, rc);
    for (int number = 0; number < count; number++) {
        const zoo_op_result_t *result = &results[number];
        bool done = rc == ZOK && result->err == ZOK;
        log_line(c->label, "  %d: %d %s %s", number, result->err,
                 done && result->value != NULL && result->valuelen > 0 ? result->value : "",
                 done && result->stat != NULL ? show_stat(result->stat) : "");
    }
}

struct waiting {
    bool done;
    int rc;
};

static void on_void(int rc, const void *data) {
    struct waiting *waiting = (struct waiting *)data;
    pthread_mutex_lock(&lock);
    waiting->rc = rc;
    waiting->done = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void do_auth(struct client *c, const char *scheme, const char *secret) {
    struct waiting waiting = {false, 0};
    struct timespec until = deadline();
    int sent = zoo_add_auth(c->handle, scheme, secret, (int)strlen(secret), on_void, &waiting);
    pthread_mutex_lock(&lock);
    while (sent == ZOK && !waiting.done && pthread_cond_timedwait(&changed, &lock, &until) == 0) {
    }
    pthread_mutex_unlock(&lock);
    log_line(c->label, "auth %s %s -> %d %d", scheme, secret, sent, waiting.rc);
}

void do_remove_watches(struct client *c, const char *path, ZooWatcherType type, bool local) {
    int rc = zoo_remove_all_watches(c->handle, path, type, local);
    log_line(c->label, "removeWatches %s type=%d%s -> %d", path, type, local ? " local" : "", rc);
}
