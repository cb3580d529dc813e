// Drive drives a server through the Go client and prints what it saw: drive HOST:PORT [PART-OF-A-NAME].
//
// The server must be fresh and configured as the profile "full" says. Two runs against the same kind of server print
// the same text.
package main

import (
	"fmt"
	"os"
	"strings"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: drive HOST:PORT [PART-OF-A-NAME]")
		os.Exit(2)
	}
	only := ""
	if len(os.Args) > 2 {
		only = os.Args[2]
	}
	for _, scenario := range scenarios {
		if strings.Contains(scenario.name, only) {
			runOne(os.Args[1], scenario.name, scenario.run)
		}
	}
}

// runOne keeps a scenario that cannot go on from ending the others.
func runOne(server, name string, scenario func(*run)) {
	r := &run{server: server, root: "/" + name, log: newLog()}
	fmt.Println("### " + name)
	defer func() {
		if reason := recover(); reason != nil {
			fmt.Println("!! ended early:", reason)
		}
		for _, c := range r.clients {
			c.conn.Close()
		}
	}()
	scenario(r)
}
