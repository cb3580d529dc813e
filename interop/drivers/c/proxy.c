/* Passes bytes between clients and the server, so that a scenario can cut a connection and hold it off for a while. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drive.h"

enum { PAIRS = 16, PIECE_BYTES = 65536 };

struct proxy {
    char address[64];
    int port;
    int listener;
    bool open;
    int pairs[PAIRS][2];
    pthread_mutex_t lock;
};

static int connect_to(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* With the lock held. */
static void drop(struct proxy *proxy, int pair) {
    for (int side = 0; side < 2; side++) {
        if (proxy->pairs[pair][side] >= 0) {
            close(proxy->pairs[pair][side]);
            proxy->pairs[pair][side] = -1;
        }
    }
}

/* With the lock held. */
static void admit(struct proxy *proxy, int client) {
    int server = proxy->open ? connect_to(proxy->port) : -1;
    for (int pair = 0; server >= 0 && pair < PAIRS; pair++) {
        if (proxy->pairs[pair][0] < 0) {
            proxy->pairs[pair][0] = client;
            proxy->pairs[pair][1] = server;
            return;
        }
    }
    close(client);
    if (server >= 0) {
        close(server);
    }
}

/* With the lock held. A piece is small enough for a socket's buffer, so a plain write serves. */
static void pass(struct proxy *proxy, int pair, int side) {
    static char piece[PIECE_BYTES];
    ssize_t count = recv(proxy->pairs[pair][side], piece, sizeof piece, MSG_DONTWAIT);
    if (count <= 0 || send(proxy->pairs[pair][1 - side], piece, (size_t)count, MSG_NOSIGNAL) != count) {
        drop(proxy, pair);
    }
}

static void *run(void *context) {
    struct proxy *proxy = context;
    while (true) {
        struct pollfd polled[1 + 2 * PAIRS];
        polled[0] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        pthread_mutex_lock(&proxy->lock);
        for (int at = 0; at < 2 * PAIRS; at++) {
            polled[1 + at] = (struct pollfd){.fd = proxy->pairs[at / 2][at % 2], .events = POLLIN};
        }
        pthread_mutex_unlock(&proxy->lock);
        // A cut changes the set behind this call's back: look again soon.
        poll(polled, 1 + 2 * PAIRS, 20);
        pthread_mutex_lock(&proxy->lock);
        if (polled[0].revents != 0) {
            int client = accept(proxy->listener, NULL, NULL);
            if (client >= 0) {
                admit(proxy, client);
            }
        }
        for (int at = 0; at < 2 * PAIRS; at++) {
            bool same = polled[1 + at].fd >= 0 && polled[1 + at].fd == proxy->pairs[at / 2][at % 2];
            if (same && polled[1 + at].revents != 0) {
                pass(proxy, at / 2, at % 2);
            }
        }
        pthread_mutex_unlock(&proxy->lock);
    }
    return NULL;
}

struct proxy *proxy_open(const char *address) {
    struct proxy *proxy = calloc(1, sizeof *proxy);
    memset(proxy->pairs, -1, sizeof proxy->pairs);
    proxy->port = atoi(strrchr(address, ':') + 1);
    proxy->open = true;
    pthread_mutex_init(&proxy->lock, NULL);
    proxy->listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof at;
    if (bind(proxy->listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(proxy->listener, 16) != 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&at, &length) != 0) {
        perror("proxy");
        exit(1);
    }
    snprintf(proxy->address, sizeof proxy->address, "127.0.0.1:%d", ntohs(at.sin_port));
    pthread_t thread;
    pthread_create(&thread, NULL, run, proxy);
    pthread_detach(thread);
    return proxy;
}

const char *proxy_address(const struct proxy *proxy) {
    return proxy->address;
}

void proxy_cut(struct proxy *proxy) {
    pthread_mutex_lock(&proxy->lock);
    proxy->open = false;
    for (int pair = 0; pair < PAIRS; pair++) {
        drop(proxy, pair);
    }
    pthread_mutex_unlock(&proxy->lock);
}

void proxy_restore(struct proxy *proxy) {
    pthread_mutex_lock(&proxy->lock);
    proxy->open = true;
    pthread_mutex_unlock(&proxy->lock);
}
