/* The scenarios of the C driver. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drive.h"

static const char *server;
static const char *root;

static const int MODES[] = {0, 1, 2, 3, 4, 5, 6};

/* The root of the scenario with something behind it. */
static const char *under(const char *rest) {
    static char paths[16][PATH_BYTES];
    static int next;
    next = (next + 1) % 16;
    snprintf(paths[next], PATH_BYTES, "%s%s", root, rest);
    return paths[next];
}

static struct client *open_client(const char *label) {
    return client_open(label, server, 30000);
}

static struct client *start(void) {
    struct client *c = open_client("c");
    do_create(c, root, "", 0);
    do_exists(c, root, false);
    return c;
}

static void create_modes(void) {
    struct client *c = start();
    char rest[64];
    for (size_t at = 0; at < sizeof MODES / sizeof *MODES; at++) {
        int mode = MODES[at];
        snprintf(rest, sizeof rest, "/plain%d-", mode);
        do_create(c, under(rest), "x", mode);
        snprintf(rest, sizeof rest, "/stat%d-", mode);
        do_create2(c, under(rest), "x", mode, mode >= 5 ? 3600000 : -1);
    }
    do_create2(c, under("/ttl"), "x", 5, 0);
    do_create2(c, under("/ttl"), "x", 5, 0xFFFFFFFFFFLL);
    do_create2(c, under("/ttl2"), "x", 5, 0x10000000000LL);
    do_create(c, under("/null"), NULL, 0);
    do_get(c, under("/null"), false);
    do_children2(c, root, false);
}

static void errors(void) {
    struct client *c = start();
    do_create(c, root, "", 0);
    do_create(c, under("/none/x"), "", 0);
    do_create(c, under("/e"), "", 1);
    do_create(c, under("/e/x"), "", 0);
    do_create(c, under("//x"), "", 0);
    do_create(c, "/", "", 0);
    do_create(c, "/zookeeper/config/x", "", 0);
    do_set(c, root, "1", 0);
    do_set(c, root, "2", 0);
    do_set(c, under("/none"), "2", 0);
    do_delete(c, root, -1);
    do_delete(c, under("/none"), -1);
    do_delete(c, under("/e"), 7);
    do_delete(c, under("/e"), 0);
    do_delete(c, "/zookeeper/quota", -1);
    do_get(c, under("/none"), false);
    do_exists(c, under("/none"), false);
    do_children(c, under("/none"), false);
    do_children2(c, under("/none"), false);
    do_get_acl(c, under("/none"));
    do_set_acl(c, under("/none"), &ZOO_OPEN_ACL_UNSAFE, -1);
}

static void sequential(void) {
    struct client *c = start();
    for (int turn = 0; turn < 3; turn++) {
        do_create(c, under("/s-"), "", 2);
        do_create(c, under("/e-"), "", 3);
    }
    do_delete(c, under("/s-0000000000"), -1);
    do_create(c, under("/s-"), "", 2);
    do_children2(c, root, false);
}

static void stat_rules(void) {
    struct client *c = start();
    do_create2(c, under("/a"), "1", 0, -1);
    do_create2(c, under("/a/b"), "22", 0, -1);
    do_exists(c, root, false);
    do_exists(c, under("/a"), false);
    do_set(c, under("/a"), "333", -1);
    do_set_acl(c, under("/a"), &ZOO_OPEN_ACL_UNSAFE, 0);
    do_set_acl(c, under("/a"), &ZOO_OPEN_ACL_UNSAFE, 0);
    do_get_acl(c, under("/a"));
    do_delete(c, under("/a/b"), -1);
    do_exists(c, under("/a"), false);
    do_delete(c, under("/a"), -1);
    do_exists(c, root, false);
    do_set(c, root, NULL, -1);
    do_get(c, root, false);
}

static void acls(void) {
    static char scheme_digest[] = "digest", scheme_auth[] = "auth", scheme_world[] = "world", scheme_ip[] = "ip";
    static char bob[] = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=", anyone[] = "anyone", none[] = "", near[] = "127.0.0.0/8";
    static char far[] = "10.0.0.1", scheme_odd[] = "nosuch";
    struct ACL entries[][2] = {
        {{31, {scheme_digest, bob}}, {1, {scheme_world, anyone}}},
        {{31, {scheme_auth, none}}, {1, {scheme_world, anyone}}},
        {{31, {scheme_ip, near}}, {1, {scheme_ip, far}}},
        {{30, {scheme_world, anyone}}, {30, {scheme_world, anyone}}},
        {{31, {scheme_odd, anyone}}, {1, {scheme_world, anyone}}},
    };
    struct client *c = start();
    struct client *b = open_client("bob");
    do_auth(b, "digest", "bob:pw");
    for (size_t at = 0; at < sizeof entries / sizeof *entries; at++) {
        char rest[64];
        struct ACL_vector acl = {2, entries[at]};
        snprintf(rest, sizeof rest, "/n%zu", at);
        do_create_acl(b, under(rest), &acl);
        struct client *both[] = {c, b};
        for (int turn = 0; turn < 2; turn++) {
            do_get_acl(both[turn], under(rest));
            do_exists(both[turn], under(rest), false);
            do_get(both[turn], under(rest), false);
            do_set(both[turn], under(rest), "y", -1);
            do_set_acl(both[turn], under(rest), &ZOO_READ_ACL_UNSAFE, 7);
        }
    }
    do_create_acl(c, under("/creator"), &ZOO_CREATOR_ALL_ACL);
    do_create_acl(c, under("/read"), &ZOO_READ_ACL_UNSAFE);
    do_create(c, under("/read/x"), "", 0);
    struct client *boss = open_client("boss");
    do_auth(boss, "digest", "super:driver");
    do_get(boss, under("/n3"), false);
    struct client *bad = open_client("bad");
    do_auth(bad, "nosuch", "x");
    client_await_state(bad, ZOO_AUTH_FAILED_STATE);
}

static void multi(void) {
    struct client *c = start();
    char made[8][PATH_BYTES] = {{0}};
    struct Stat stat;
    zoo_op_t ops[8];
    zoo_create_op_init(&ops[0], under("/a"), "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made[0], PATH_BYTES);
    zoo_set_op_init(&ops[1], under("/a"), "yy", 2, 0, &stat);
    zoo_check_op_init(&ops[2], under("/a"), 1);
    zoo_create_op_init(&ops[3], under("/a/s-"), "", 0, &ZOO_OPEN_ACL_UNSAFE, 2, made[3], PATH_BYTES);
    zoo_delete_op_init(&ops[4], under("/a/s-0000000000"), 0);
    do_multi(c, "create set check create delete", 5, ops);
    do_exists(c, under("/a"), false);
    // Not mode 4: the library stops the program at a result that carries a Stat, which a container's does.
    for (int mode = 0; mode < 4; mode++) {
        zoo_create_op_init(&ops[0], under("/m-"), "x", 1, &ZOO_OPEN_ACL_UNSAFE, mode, made[0], PATH_BYTES);
        do_multi(c, "create by mode", 1, ops);
        do_delete(c, under("/m-"), -1);
    }
    do_children2(c, root, false);
}

static void multi_failures(void) {
    struct client *c = start();
    char made[8][PATH_BYTES] = {{0}};
    struct Stat stat;
    for (int failing = 0; failing < 5; failing++) {
        zoo_op_t ops[5];
        zoo_create_op_init(&ops[0], under("/a"), "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made[0], PATH_BYTES);
        zoo_set_op_init(&ops[1], root, "yy", 2, -1, &stat);
        zoo_check_op_init(&ops[2], root, -1);
        zoo_create_op_init(&ops[3], under("/b"), "x", 1, &ZOO_OPEN_ACL_UNSAFE, 1, made[3], PATH_BYTES);
        zoo_delete_op_init(&ops[4], under("/b"), -1);
        if (failing == 0) zoo_create_op_init(&ops[0], root, "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made[0], PATH_BYTES);
        if (failing == 1) zoo_set_op_init(&ops[1], root, "yy", 2, 99, &stat);
        if (failing == 2) zoo_check_op_init(&ops[2], under("/none"), -1);
        if (failing == 3) zoo_create_op_init(&ops[3], under("/none/b"), "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made[3], PATH_BYTES);
        if (failing == 4) zoo_delete_op_init(&ops[4], "/zookeeper", -1);
        do_multi(c, "of five", 5, ops);
        do_children2(c, root, false);
    }
}

static void system_nodes(void) {
    struct client *c = open_client("c");
    do_get(c, "/zookeeper/config", false);
    do_get_acl(c, "/zookeeper/config");
    char config[1024];
    int length = sizeof config;
    struct Stat stat;
    int rc = zoo_getconfig(c->handle, 0, config, &length, &stat);
    log_line(c->label, "getconfig -> %d %s %s", rc, show_data(config, length), show_stat(&stat));
    rc = zoo_reconfig(c->handle, NULL, NULL, "server.1=127.0.0.1:2888:3888:participant;2181", -1, config, &length, &stat);
    log_line(c->label, "reconfig -> %d", rc);
    do_children(c, "/zookeeper", false);
}

/* Every kind of write at a node, its parent and its child. */
static void writes(struct client *c) {
    do_create(c, under("/n"), "1", 0);
    do_set(c, under("/n"), "2", -1);
    do_set_acl(c, under("/n"), &ZOO_OPEN_ACL_UNSAFE, -1);
    do_create(c, under("/n/k"), "", 0);
    do_set(c, under("/n/k"), "2", -1);
    do_delete(c, under("/n/k"), -1);
    do_delete(c, under("/n"), -1);
    do_create2(c, under("/n"), "", 4, -1);
    do_delete(c, under("/n"), -1);
    do_set(c, root, "p", -1);
}

static void watches(void) {
    struct client *c = start();
    struct client *w = open_client("w");
    do_exists(w, under("/n"), true);
    do_get(w, under("/n"), true);
    do_children(w, root, true);
    do_get(w, root, true);
    writes(c);
    client_events(w);
    do_create(c, under("/n"), "", 0);
    do_exists(w, under("/n"), true);
    do_get(w, under("/n"), true);
    do_children2(w, under("/n"), true);
    do_delete(c, under("/n"), -1);
    client_events(w);
    do_exists(c, under("/n"), true);
    do_children(c, root, true);
    writes(c);
    client_events(c);
}

static void watch_removal(void) {
    static const ZooWatcherType types[] = {ZWATCHTYPE_CHILD, ZWATCHTYPE_DATA, ZWATCHTYPE_ANY};
    struct client *c = start();
    for (size_t at = 0; at < sizeof types / sizeof *types; at++) {
        for (int local = 0; local < 2; local++) {
            char rest[64];
            snprintf(rest, sizeof rest, "/n%d%d", types[at], local);
            struct client *w = open_client("w");
            do_create(c, under(rest), "", 0);
            do_remove_watches(w, under(rest), types[at], local);
            do_get(w, under(rest), true);
            do_children(w, under(rest), true);
            do_remove_watches(w, under(rest), types[at], local);
            client_events_sorted(w);
            do_set(c, under(rest), "x", -1);
            strcat(rest, "/k");
            do_create(c, under(rest), "", 0);
            client_events(w);
        }
    }
}

static void reconnect(void) {
    struct client *c = start();
    static const char *const names[] = {"/same", "/data", "/child", "/gone"};
    for (int at = 0; at < 4; at++) {
        do_create(c, under(names[at]), "", 0);
    }
    struct proxy *proxy = proxy_open(server);
    struct client *w = client_open("w", proxy_address(proxy), 30000);
    do_auth(w, "digest", "bob:pw");
    do_create_acl(w, under("/secret"), &ZOO_CREATOR_ALL_ACL);
    do_create(w, under("/ephemeral"), "", 1);
    for (int at = 0; at < 4; at++) {
        do_get(w, under(names[at]), true);
        do_children(w, under(names[at]), true);
    }
    do_exists(w, under("/later"), true);
    do_exists(w, under("/never"), true);
    proxy_cut(proxy);
    client_await_state(w, ZOO_CONNECTING_STATE);
    do_set(c, under("/data"), "x", -1);
    do_create(c, under("/child/k"), "", 0);
    do_delete(c, under("/gone"), -1);
    do_create(c, under("/later"), "", 0);
    proxy_restore(proxy);
    client_await_state(w, ZOO_CONNECTED_STATE);
    client_events_sorted(w);
    do_get(w, under("/secret"), false);
    do_exists(w, under("/ephemeral"), false);
    do_set(c, under("/same"), "again", -1);
    do_create(c, under("/same/k"), "", 0);
    do_create(c, under("/never"), "", 0);
    do_set(c, under("/data"), "again", -1);
    client_events(w);
}

static void sessions(void) {
    start();
    static const int timeouts[] = {1000, 12345, 60000, 10000000};
    for (size_t at = 0; at < sizeof timeouts / sizeof *timeouts; at++) {
        struct client *t = client_open("timeout", server, timeouts[at]);
        log_line(t->label, "%d becomes %d", timeouts[at], zoo_recv_timeout(t->handle));
    }
    // Behind a proxy, since a handle whose session another one takes would at once take it back.
    struct proxy *proxy = proxy_open(server);
    struct client *owner = client_open("owner", proxy_address(proxy), 30000);
    do_create(owner, under("/e"), "", 1);
    clientid_t id = *zoo_client_id(owner->handle);
    proxy_cut(proxy);
    client_await_state(owner, ZOO_CONNECTING_STATE);
    struct client *again = client_resume("again", server, 30000, &id);
    client_await_state(again, ZOO_CONNECTED_STATE);
    do_exists(again, under("/e"), false);
    clientid_t wrong = id;
    memset(wrong.passwd, 0, sizeof wrong.passwd);
    struct client *thief = client_resume("thief", server, 30000, &wrong);
    client_await_state(thief, ZOO_EXPIRED_SESSION_STATE);
    do_exists(thief, root, false);
}

static void session_close_and_expiry(void) {
    struct client *w = start();
    struct client *c = open_client("owner");
    do_create(c, under("/e"), "", 1);
    do_get(w, under("/e"), true);
    do_children(w, root, true);
    client_close(c);
    client_events(w);
    struct proxy *proxy = proxy_open(server);
    struct client *short_lived = client_open("short", proxy_address(proxy), 1000);
    do_create(short_lived, under("/e"), "", 1);
    do_exists(w, under("/e"), true);
    proxy_cut(proxy);
    client_await_event(w);
    do_exists(w, root, false);
    proxy_restore(proxy);
    client_await_state(short_lived, ZOO_EXPIRED_SESSION_STATE);
}

static void quota(void) {
    struct client *c = start();
    char below[PATH_BYTES];
    do_create(c, under("/q"), "12", 0);
    snprintf(below, sizeof below, "/zookeeper/quota%s", root);
    do_create(c, below, "", 0);
    strcat(below, "/q");
    do_create(c, below, "", 0);
    char limits[PATH_BYTES + 32], stats[PATH_BYTES + 32];
    snprintf(limits, sizeof limits, "%s/zookeeper_limits", below);
    snprintf(stats, sizeof stats, "%s/zookeeper_stats", below);
    do_create(c, limits, "count=2,bytes=-1=;byteHardLimit=6;countHardLimit=3", 0);
    do_create(c, stats, "", 0);
    do_create(c, under("/q/a"), "345", 0);
    do_create(c, under("/q/b"), "67", 0);
    do_create(c, under("/q/b"), "6", 0);
    do_create(c, under("/q/c"), "", 0);
    do_set(c, under("/q/a"), "3456", -1);
    do_get(c, stats, false);
}

static const struct {
    const char *name;
    void (*run)(void);
} SCENARIOS[] = {
    {"/create-modes", create_modes},
    {"/errors", errors},
    {"/sequential", sequential},
    {"/stat-rules", stat_rules},
    {"/acls", acls},
    {"/multi", multi},
    {"/multi-failures", multi_failures},
    {"/system-nodes", system_nodes},
    {"/watches", watches},
    {"/watch-removal", watch_removal},
    {"/reconnect", reconnect},
    {"/sessions", sessions},
    {"/session-close-and-expiry", session_close_and_expiry},
    {"/quota", quota},
};

void scenarios_run(const char *address, const char *only) {
    server = address;
    for (size_t at = 0; at < sizeof SCENARIOS / sizeof *SCENARIOS; at++) {
        if (strstr(SCENARIOS[at].name, only) == NULL) {
            continue;
        }
        root = SCENARIOS[at].name;
        log_start(root + 1);
        SCENARIOS[at].run();
        clients_close_all();
    }
}
