package main

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

const clockSlack = 2 * time.Minute

// protection is the random mark that the library puts into names of protected nodes.
var protection = regexp.MustCompile(`_c_[0-9a-f]{32}-`)

// log turns values into canonical text: what differs between two runs of a correct server is replaced by what must not
// differ. Transaction ids are shown relative to the scenario's first one, times by the relation they must satisfy,
// session ids by order of appearance.
type log struct {
	base     int64
	times    map[int64]int64
	sessions map[int64]string
}

func newLog() *log {
	return &log{times: map[int64]int64{}, sessions: map[int64]string{}}
}

func (l *log) zxid(zxid int64) string {
	if zxid <= 0 {
		return fmt.Sprint(zxid)
	}
	if l.base == 0 {
		l.base = zxid
	}
	return fmt.Sprintf("%+d", zxid-l.base)
}

func (l *log) moment(zxid, millis int64) string {
	if millis == 0 {
		return "0"
	}
	if first, known := l.times[zxid]; known && first != millis {
		return "two-times-for-one-zxid"
	}
	l.times[zxid] = millis
	off := time.Since(time.UnixMilli(millis))
	if off < -clockSlack || off > clockSlack {
		return "odd"
	}
	return "now"
}

func (l *log) session(session int64) string {
	if session == 0 {
		return "0"
	}
	if _, known := l.sessions[session]; !known {
		l.sessions[session] = fmt.Sprintf("S%d", len(l.sessions)+1)
	}
	return l.sessions[session]
}

func (l *log) stat(s *zk.Stat) string {
	if s == nil {
		return "no-stat"
	}
	return fmt.Sprintf("{c=%s m=%s p=%s ct=%s mt=%s v=%d cv=%d av=%d eph=%s len=%d kids=%d}",
		l.zxid(s.Czxid), l.zxid(s.Mzxid), l.zxid(s.Pzxid), l.moment(s.Czxid, s.Ctime), l.moment(s.Mzxid, s.Mtime),
		s.Version, s.Cversion, s.Aversion, l.session(s.EphemeralOwner), s.DataLength, s.NumChildren)
}

func data(value []byte) string {
	if len(value) > 100 {
		return fmt.Sprintf("<%d bytes>", len(value))
	}
	return fmt.Sprintf("%q", value)
}

func names(values []string) string {
	sorted := append([]string{}, values...)
	sort.Strings(sorted)
	return "[" + plain(strings.Join(sorted, ", ")) + "]"
}

func plain(path string) string {
	return protection.ReplaceAllString(path, "_c_PROTECTED-")
}

func acl(entries []zk.ACL) string {
	var shown []string
	for _, entry := range entries {
		shown = append(shown, fmt.Sprintf("%d:%s:%s", entry.Perms, entry.Scheme, entry.ID))
	}
	return "[" + strings.Join(shown, " ") + "]"
}

func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	return "error(" + err.Error() + ")"
}
