/* What the C driver's files share: the log, a client with a name, a proxy that can cut connections. */
#ifndef DRIVE_H
#define DRIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zookeeper/zookeeper.h>

/* Every wait ends: what has not come by then is reported as missing. */
enum { ANSWER_SECONDS = 20, PATH_BYTES = 1024 };

/* One handle of the library. Its events wait in a list until the scenario asks for them. */
struct client {
    const char *label;
    zhandle_t *handle;
};

/* log.c */
void log_start(const char *scenario);
void log_line(const char *label, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *show_stat(const struct Stat *stat);
const char *show_data(const char *data, int length);
const char *show_names(const struct String_vector *names);
const char *show_acl(const struct ACL_vector *acl);

/* client.c */
struct client *client_open(const char *label, const char *address, int timeout_ms);
struct client *client_resume(const char *label, const char *address, int timeout_ms, const clientid_t *id);
void client_close(struct client *client);
void clients_close_all(void);
/* Waits for the next event and logs it; false if none came. */
bool client_await_event(struct client *client);
/* Waits until the session is in this state; logs all events up to it. */
void client_await_state(struct client *client, int state);
/* Logs all events of changes the server had made when this is called; sorted where it leaves the order open. */
void client_events(struct client *client);
void client_events_sorted(struct client *client);

void do_create(struct client *c, const char *path, const char *data, int mode);
void do_create_acl(struct client *c, const char *path, const struct ACL_vector *acl);
void do_create2(struct client *c, const char *path, const char *data, int mode, int64_t ttl);
void do_delete(struct client *c, const char *path, int version);
void do_set(struct client *c, const char *path, const char *data, int version);
void do_get(struct client *c, const char *path, bool watch);
void do_exists(struct client *c, const char *path, bool watch);
void do_children(struct client *c, const char *path, bool watch);
void do_children2(struct client *c, const char *path, bool watch);
void do_get_acl(struct client *c, const char *path);
void do_set_acl(struct client *c, const char *path, const struct ACL_vector *acl, int version);
void do_multi(struct client *c, const char *shown, int count, const zoo_op_t *ops);
void do_auth(struct client *c, const char *scheme, const char *secret);
void do_remove_watches(struct client *c, const char *path, ZooWatcherType type, bool local);

/* proxy.c */
struct proxy;
struct proxy *proxy_open(const char *address);
const char *proxy_address(const struct proxy *proxy);
void proxy_cut(struct proxy *proxy);
void proxy_restore(struct proxy *proxy);

/* scenarios.c */
void scenarios_run(const char *address, const char *only);

#endif
