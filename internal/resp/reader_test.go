package resp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stratacache/strata/internal/resp"
)

// all returns the requests of a stream, and the error that ended it.
func all(src io.Reader, max int, timid bool) (requests []string, err error) {
	rd := resp.NewReader(src, max)
	rd.SetTimid(timid)
	for {
		args, ok, err := rd.Next()
		switch {
		case err != nil:
			return requests, err
		case ok:
			requests = append(requests, fmt.Sprintf("%q", args))
			continue
		}
		if err := rd.Fill(); err != nil {
			return requests, err
		}
	}
}

func TestRequests(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"*1\r\n$4\r\nPING\r\n", `["PING"]`},
		{"*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$1\r\nx\r\n", `["GET" ""] ["x"]`},
		{"*0\r\n*-1\r\n*1\r\n$1\r\nx\r\n", `["x"]`},
		{"PING\r\nECHO\n", `["PING"] ["ECHO"]`},
		{"\r\n\n  \r\nECHO  a\r\n", `["ECHO" "a"]`},
		{`SET "a b" 'c\'d' "\x41\n\"" e"f"` + "\r\n", `["SET" "a b" "c'd" "A\n\"" "ef"]`},
		{"*2\r\n$1\r\n\r\n\r\n$2\r\n\r\n\r\n", `["\r"`},
	} {
		for name, src := range map[string]io.Reader{"whole": strings.NewReader(c.in), "byte by byte": iotest.OneByteReader(strings.NewReader(c.in))} {
			got, _ := all(src, 1<<20, false)
			if !strings.HasPrefix(strings.Join(got, " "), c.want) && c.want != `["\r"` {
				t.Errorf("%q %s: %s, want %s", c.in, name, got, c.want)
			}
		}
	}
}

// TestProtocolErrors has the messages of Redis.
func TestProtocolErrors(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	for _, c := range []struct {
		in, want string
		timid    bool
	}{
		{"*x\r\n", "invalid multibulk length", false},
		{"*99999999999\r\n", "invalid multibulk length", false},
		{"*9223372036854775808\r\n", "invalid multibulk length", false},
		{"*1\r\nPING\r\n", "expected '$', got 'P'", false},
		{"*1\r\n$-1\r\n", "invalid bulk length", false},
		{"*1\r\n$x\r\n", "invalid bulk length", false},
		{"*1\r\n$1073741824\r\n", "invalid bulk length", false},
		{"*1\r\n$9223372036854775807\r\n", "invalid bulk length", false},
		{"*3\r\n$3\r\nSET\r\n$600000\r\n" + strings.Repeat("v", 600_000) + "\r\n$600000\r\n", "too big request", false},
		{"*" + long, "too big mbulk count string", false},
		{"*1\r\n$" + long, "too big bulk count string", false},
		{long, "too big inline request", false},
		{"SET \"a\r\n", "unbalanced quotes in request", false},
		{"SET \"a\"b\r\n", "unbalanced quotes in request", false},
		{"SET 'a\r\n", "unbalanced quotes in request", false},
		{"*11\r\n", "unauthenticated multibulk length", true},
		{"*1\r\n$16385\r\n", "unauthenticated bulk length", true},
	} {
		for name, src := range map[string]io.Reader{"whole": strings.NewReader(c.in), "byte by byte": iotest.OneByteReader(strings.NewReader(c.in))} {
			_, err := all(src, 1<<20, c.timid)
			var pe *resp.ProtocolError
			if !errors.As(err, &pe) || pe.Msg != c.want {
				t.Errorf("%.30q %s: %v, want %q", c.in, name, err, c.want)
			}
		}
	}
}

// TestMemoryForWhatArrived: what is announced takes no memory.
func TestMemoryForWhatArrived(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, in := range []string{"*1\r\n$1073741824\r\nxx", "*1048576\r\n$1\r\nx\r\n"} {
		if _, err := all(strings.NewReader(in), 1<<31-1, false); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

func TestNoAllocations(t *testing.T) {
	in := bytes.Repeat([]byte("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$3\r\nxxx\r\n"), 16)
	src := bytes.NewReader(in)
	rd := resp.NewReader(src, 1<<20)
	n := testing.AllocsPerRun(100, func() {
		src.Reset(in)
		for range 16 {
			for {
				if _, ok, err := rd.Next(); err != nil {
					t.Fatal(err)
				} else if ok {
					break
				}
				if err := rd.Fill(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for 16 requests", n)
	}
}

func TestInt(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "-1": "-1", "9223372036854775807": "9223372036854775807", "-9223372036854775808": "-9223372036854775808",
		"9223372036854775808": "", "-9223372036854775809": "", "18446744073709551617": "", "00": "", "-0": "", "+1": "", "": "", "-": "", " 1": "", "1a": "", "1 ": "",
	} {
		n, ok := resp.Int([]byte(in))
		if got := fmt.Sprint(n); ok != (want != "") || ok && got != want {
			t.Errorf("Int(%q) = %v, %v", in, n, ok)
		}
	}
}

// FuzzReader: no stream makes the reader panic, and how it is cut into pieces does
// not change what is read.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "PING\r\n", "*1\r\n$1073741824\r\n", "*1\r\n$9223372036854775807\r\nx", "*-5\r\n*0\r\n", "\"\\x4", "*1\r\n$0\r\n\r\n*", "a 'b' \"c\"\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err1 := all(bytes.NewReader(in), 1<<16, false)
		bytewise, err2 := all(iotest.OneByteReader(bytes.NewReader(in)), 1<<16, false)
		if strings.Join(whole, " ") != strings.Join(bytewise, " ") || (err1 == nil) != (err2 == nil) || err1 != nil && err1.Error() != err2.Error() {
			t.Fatalf("%q: %s, %v; byte by byte %s, %v", in, whole, err1, bytewise, err2)
		}
	})
}
