/* Drives a server through the C client and prints what it saw: drive HOST:PORT [PART-OF-A-NAME].
 *
 * The server must be fresh and configured as the profile "full" says. Two runs against the same kind of server print
 * the same text. */
#include <stdio.h>

#include "drive.h"

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: drive HOST:PORT [PART-OF-A-NAME]\n");
        return 2;
    }
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    setvbuf(stdout, NULL, _IOLBF, 0);
    scenarios_run(arguments[1], count > 2 ? arguments[2] : "");
    return 0;
}
