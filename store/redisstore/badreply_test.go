package redisstore

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/stratacache/strata/internal/resp"
)

// badServer answers each command named in replies with that, and others as a server does
// that knows few. It returns its address.
func badServer(t *testing.T, replies map[string]string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				for rd := resp.NewReader(conn, 1<<20); ; {
					args, ok, err := rd.Next()
					switch {
					case err != nil:
						return
					case !ok:
						if rd.Fill() != nil {
							return
						}
						continue
					}
					reply, known := replies[strings.ToUpper(string(args[0]))]
					if !known {
						reply = "-ERR unknown command\r\n"
					}
					if _, err := conn.Write([]byte(reply)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// A batch that the server answers with more values than were asked for, or fewer, is an
// error for each key, and nobody's value.
func TestRepliesOfAnotherLength(t *testing.T) {
	for _, n := range []int{0, 1, 3, 100} {
		reply := fmt.Sprintf("*%d\r\n", n) + strings.Repeat("$1\r\nx\r\n", n)
		s := single(t, badServer(t, map[string]string{"MGET": reply, "EXISTS": ":0\r\n"}), Options{})
		keys := []string{"a", "b"}
		got, err := s.GetMany(ctx, keys)
		if err == nil || len(got) > 0 {
			t.Errorf("%d values for two keys: %v, %v", n, got, err)
		}
		for _, key := range keys {
			isTyped(t, "GetMany", err)
			if !strings.Contains(fmt.Sprint(err), key) {
				t.Errorf("%d values: the error names no %s: %v", n, key, err)
			}
		}
	}
}

// Empty values that another program has written, beside keys that are absent or of another
// type.
func TestEmptyValuesInABatch(t *testing.T) {
	s, client := prefixed(t, Options{}), raw(t)
	for _, prepare := range [][]any{{"SET", "empty", ""}, {"SET", "full", "x"}, {"LPUSH", "list", "x"}} {
		prepare[1] = s.opts.Prefix + prepare[1].(string)
		if err := client.Do(ctx, prepare...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, keys := range [][]string{{"empty", "full"}, {"empty", "absent"}, {"empty", "list"}, {"absent", "empty", "list", "full"}} {
		for range 3 { // the question that goes along depends on the batch before
			got, err := s.GetMany(ctx, keys)
			if slices.Contains(keys, "list") == (err == nil) {
				t.Errorf("%v: %v; want an error for the list alone", keys, err)
			}
			for _, key := range keys {
				e, found := got[key]
				if want := key == "empty" || key == "full"; found != want || string(e.Value) != map[string]string{"full": "x"}[key] {
					t.Errorf("%v: %s is %q, %v", keys, key, e.Value, found)
				}
			}
		}
	}
}
