package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/internal/serve/inspect"
	"github.com/stratacache/strata/store"
)

// maxInput bounds the values that set takes.
const maxInput = 512 << 20

// keyInfo is a key in JSON: as text, and in base64 where it is none.
type keyInfo struct {
	Key    string `json:"key,omitempty"`
	Base64 []byte `json:"key_base64,omitempty"`
}

func keyOf(key string) keyInfo {
	if utf8.ValidString(key) {
		return keyInfo{Key: key}
	}
	return keyInfo{Base64: []byte(key)}
}

// entryInfo is an entry in JSON. Value is for text, Base64 for anything else.
type entryInfo struct {
	keyInfo
	Value   *string    `json:"value,omitempty"`
	Base64  *string    `json:"base64,omitempty"`
	Size    int        `json:"size"`
	Expires *time.Time `json:"expires"`
	Fresh   *time.Time `json:"fresh,omitempty"`
	Version uint64     `json:"version,omitempty"`
	Codec   string     `json:"codec,omitempty"`
	Tags    []string   `json:"tags,omitempty"`
}

func infoOf(key string, e *store.Entry, value bool) entryInfo {
	info := entryInfo{keyInfo: keyOf(key), Size: len(e.Value), Expires: inspect.Deadline(e.Expires), Fresh: inspect.Deadline(e.Fresh), Version: e.Version, Codec: e.Codec, Tags: e.Tags}
	if !value {
		return info
	}
	if utf8.Valid(e.Value) {
		s := string(e.Value)
		info.Value = &s
	} else {
		s := base64.StdEncoding.EncodeToString(e.Value)
		info.Base64 = &s
	}
	return info
}

func (a *app) getCommand() *cobra.Command {
	raw := false
	c := &cobra.Command{
		Use: "get KEY", Short: "Print a value",
		Long: "Print a value. Text is printed with a line feed behind it; anything else needs\n--raw, which prints the bytes as they are, or --json, which gives them in base64.",
		Args: between(1, 1, "one KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atServer(cmd, func(r *remote) error {
				value, expires, err := r.entry(args[0])
				if err != nil {
					return err
				}
				return a.show(args[0], &store.Entry{Value: value, Expires: expires}, raw)
			}, func() error {
				return a.with(cmd, false, func(s *session) error { return a.get(s, args[0], raw) })
			})
		},
	}
	c.Flags().BoolVar(&raw, "raw", false, "print exactly the bytes of the value")
	return withAddr(withTimeout(c))
}

func (a *app) get(s *session, key string, raw bool) error {
	e, err := s.Store().Get(s.ctx, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return notThere(key)
	case err != nil:
		return fail(err)
	}
	return a.show(key, &e, raw)
}

// show prints an entry's value.
func (a *app) show(key string, e *store.Entry, raw bool) (err error) {
	switch {
	case a.json:
		return a.printJSON(infoOf(key, e, true))
	case raw:
		_, err = a.out.Write(e.Value)
	case printable(string(e.Value)) != string(e.Value) && !isText(e.Value):
		return usage("the value is %d bytes that are not text%s: print them with --raw or --json", len(e.Value), codecNote(e.Codec))
	default:
		_, err = fmt.Fprintf(a.out, "%s\n", e.Value)
	}
	return fail(err)
}

func codecNote(codec string) string {
	if codec == "" {
		return ""
	}
	return " (" + codec + ")"
}

// isText reports whether b may be written to a terminal.
func isText(b []byte) bool {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 || r < 0x20 && r != '\n' && r != '\t' && r != '\r' || 0x7f <= r && r < 0xa0 {
			return false
		}
		i += n
	}
	return true
}

func (a *app) setCommand() *cobra.Command {
	var ttl string
	var tags []string
	c := &cobra.Command{
		Use: "set KEY VALUE", Short: "Store a value",
		Long: "Store a value; with - for VALUE, standard input. The key's rule says how long it\nlives and in which tiers, unless --ttl is given.",
		Args: between(2, 2, "a KEY and a VALUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			e := store.Entry{Value: []byte(args[1]), Tags: tags}
			if err := setDeadline(&e, ttl); err != nil {
				return err
			}
			if args[1] == "-" {
				b, err := readAll(a.in, maxInput)
				if err != nil {
					return fail(err)
				}
				e.Value = b
			}
			return a.atServer(cmd, func(r *remote) error {
				if len(tags) > 0 {
					return usage("--tag needs the tiers: the Redis protocol has no tags")
				}
				if e.Expires.IsZero() {
					return fail(r.Set(r.ctx, args[0], e.Value, 0).Err())
				}
				return fail(r.Set(r.ctx, args[0], e.Value, time.Until(e.Expires)).Err())
			}, func() error {
				return a.with(cmd, true, func(s *session) error { return a.set(s, args[0], e, ttl) })
			})
		},
	}
	c.Flags().StringVar(&ttl, "ttl", "", "time to live, such as 5m (default: the rule's)")
	c.Flags().StringSliceVar(&tags, "tag", nil, "tag to invalidate the value by; may be repeated")
	return withAddr(withTimeout(c))
}

// setDeadline applies --ttl.
func setDeadline(e *store.Entry, ttl string) error {
	if ttl == "" {
		return nil
	}
	d, err := time.ParseDuration(ttl)
	if err != nil || d <= 0 {
		return usage("--ttl %s is not a time to live, such as 250ms, 5m or 24h", ttl)
	}
	e.Expires = time.Now().Add(d)
	return nil
}

func (a *app) set(s *session, key string, e store.Entry, _ string) error {
	if err := s.Store().Set(s.ctx, key, e); err != nil {
		return fail(err)
	}
	return fail(errors.Join(s.Flush(s.ctx), s.faults.err()))
}

func (a *app) delCommand() *cobra.Command {
	return withAddr(withTimeout(&cobra.Command{
		Use: "del KEY...", Aliases: []string{"delete", "rm"}, Short: "Remove values",
		Long: "Remove the values of keys from every tier. A key that is not there is no error.",
		Args: between(1, -1, "at least one KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atServer(cmd, func(r *remote) error { return fail(r.Del(r.ctx, args...).Err()) }, func() error {
				return a.with(cmd, true, func(s *session) error {
					if err := s.Delete(s.ctx, args...); err != nil {
						return fail(err)
					}
					return fail(errors.Join(s.Flush(s.ctx), s.faults.err()))
				})
			})
		},
	}))
}

func (a *app) ttlCommand() *cobra.Command {
	return withAddr(withTimeout(&cobra.Command{
		Use: "ttl KEY", Short: "Print how long a value still lives",
		Long: "Print what is left of a value's time to live, or never. The exit code is 3 if\nthere is no value.",
		Args: between(1, 1, "one KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atServer(cmd, func(r *remote) error {
				_, expires, err := r.entry(args[0])
				if err != nil {
					return err
				}
				return a.ttl(args[0], expires)
			}, func() error {
				return a.with(cmd, false, func(s *session) error {
					e, err := s.Store().Get(s.ctx, args[0])
					switch {
					case errors.Is(err, store.ErrNotFound):
						return notThere(args[0])
					case err != nil:
						return fail(err)
					}
					return a.ttl(args[0], e.FreshUntil())
				})
			})
		},
	}))
}

// ttlInfo is a deadline in JSON.
type ttlInfo struct {
	keyInfo
	Expires *time.Time `json:"expires"`
	Seconds *float64   `json:"seconds"`
}

func (a *app) ttl(key string, expires time.Time) error {
	if !a.json {
		_, err := fmt.Fprintln(a.out, until(expires, time.Now()))
		return fail(err)
	}
	info := ttlInfo{keyInfo: keyOf(key), Expires: inspect.Deadline(expires)}
	if !expires.IsZero() {
		left := time.Until(expires).Seconds()
		info.Seconds = &left
	}
	return a.printJSON(info)
}

func (a *app) scanCommand() *cobra.Command {
	limit, long := 0, false
	c := &cobra.Command{
		Use: "scan [PREFIX]", Short: "List keys",
		Long: "List the keys that begin with PREFIX, in no order, one on a line; with --json one\nJSON object on a line.",
		Args: between(0, 1, "one PREFIX"),
		RunE: func(cmd *cobra.Command, args []string) error {
			prefix := ""
			if len(args) > 0 {
				prefix = args[0]
			}
			return a.atServer(cmd, func(r *remote) error { return a.scanServer(r, prefix, limit, long) }, func() error {
				return a.with(cmd, false, func(s *session) error { return a.scan(s, prefix, limit, long) })
			})
		},
	}
	c.Flags().IntVar(&limit, "limit", 0, "stop after so many keys; 0: no limit")
	c.Flags().BoolVarP(&long, "long", "l", false, "with size, what is left of the time to live, and codec")
	return withAddr(withTimeout(c))
}

func (a *app) scanServer(r *remote, prefix string, limit int, long bool) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	return r.keys(prefix, limit, func(key string) error {
		if !long {
			return a.printKey(enc, key)
		}
		value, expires, err := r.entry(key)
		if f := (*failure)(nil); errors.As(err, &f) && f.code == exitNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		return a.printEntry(enc, key, &store.Entry{Value: value, Expires: expires})
	})
}

func (a *app) scan(s *session, prefix string, limit int, long bool) error {
	n := 0
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	for key, err := range s.Scan(s.ctx, prefix) {
		if err != nil {
			return fail(err)
		}
		if err := a.scanned(s, enc, key, long); err != nil {
			return err
		}
		if n++; n == limit {
			break
		}
	}
	return nil
}

// scanned prints one key.
func (a *app) scanned(s *session, enc *json.Encoder, key string, long bool) error {
	if !long {
		return a.printKey(enc, key)
	}
	e, err := s.Store().Get(s.ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil // it expired or was deleted since
	}
	if err != nil {
		return fail(err)
	}
	return a.printEntry(enc, key, &e)
}

func (a *app) printKey(enc *json.Encoder, key string) error {
	if a.json {
		return fail(enc.Encode(keyOf(key)))
	}
	_, err := fmt.Fprintln(a.out, printable(key))
	return fail(err)
}

func (a *app) printEntry(enc *json.Encoder, key string, e *store.Entry) error {
	if a.json {
		return fail(enc.Encode(infoOf(key, e, false)))
	}
	_, err := fmt.Fprintf(a.out, "%10s  %12s  %-10s  %s\n", size(int64(len(e.Value))), until(e.Expires, time.Now()), or(e.Codec, "-"), printable(key))
	return fail(err)
}
