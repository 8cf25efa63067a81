package serve

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/stratacache/strata/internal/resp"
)

func incr(c *conn, args [][]byte) { c.add(args[1], 1) }
func decr(c *conn, args [][]byte) { c.add(args[1], -1) }

func incrby(c *conn, args [][]byte) {
	n, ok := resp.Int(args[2])
	if !ok {
		c.fail(errInt)
		return
	}
	c.add(args[1], n)
}

func decrby(c *conn, args [][]byte) {
	n, ok := resp.Int(args[2])
	switch {
	case !ok:
		c.fail(errInt)
	case n == math.MinInt64:
		c.fail("ERR decrement would overflow")
	default:
		c.add(args[1], -n)
	}
}

// add adds n to the number under key.
func (c *conn) add(key []byte, n int64) {
	c.with(key, func(st *stripe) {
		old, ok, err := c.get(key)
		if err != nil {
			c.failed(err)
			return
		}
		var sum int64
		if ok {
			if sum, ok = resp.Int(old.Value); !ok {
				c.fail(errInt)
				return
			}
		}
		if n < 0 && sum < math.MinInt64-n || n > 0 && sum > math.MaxInt64-n {
			c.fail("ERR increment or decrement would overflow")
			return
		}
		sum += n
		if err := c.put(st, key, strconv.AppendInt(nil, sum, 10), life{keep: ok}, &old); err != nil {
			c.failed(err)
			return
		}
		c.w.Int(sum)
	})
}

const errFloat = "ERR value is not a valid float"

// incrbyfloat calculates as Redis does on x86: with the 80-bit numbers that C
// calls long double there, whose mantissa has 64 bits, and 17 digits behind the
// point.
func incrbyfloat(c *conn, args [][]byte) {
	key := args[1]
	c.with(key, func(st *stripe) {
		old, ok, err := c.get(key)
		if err != nil {
			c.failed(err)
			return
		}
		sum := new(big.Float).SetPrec(longDouble)
		if ok {
			if sum = parseLong(old.Value); sum == nil {
				c.fail(errFloat)
				return
			}
		}
		n := parseLong(args[2])
		switch {
		case n == nil:
			c.fail(errFloat)
			return
		case n.IsInf() || sum.IsInf():
			c.fail("ERR increment would produce NaN or Infinity")
			return
		}
		sum.Add(sum, n)
		if sum.MantExp(nil) > maxLongExp {
			c.fail("ERR increment would produce NaN or Infinity")
			return
		}
		out := []byte(formatLong(sum))
		if err := c.put(st, key, out, life{keep: ok}, &old); err != nil {
			c.failed(err)
			return
		}
		c.w.Bulk(out)
	})
}

// The long double of x86.
const (
	longDouble   = 64     // bits of its mantissa
	maxLongExp   = 16384  // the greatest is below 2^16384
	minLongExp   = -16444 // the least is 2^-16445
	maxLongChars = 5 * 1024
)

// parseLong reads a number as strtold does and Redis accepts it, or returns nil.
func parseLong(b []byte) *big.Float {
	if len(b) == 0 || len(b) >= maxLongChars || bytes.IndexByte(b, '_') >= 0 {
		return nil
	}
	s := string(b)
	bare := strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	if len(s)-len(bare) > 1 {
		return nil
	}
	switch strings.ToLower(bare) {
	case "inf", "infinity":
		return new(big.Float).SetInf(s[0] == '-')
	}
	hexed := len(bare) > 2 && (bare[:2] == "0x" || bare[:2] == "0X")
	if bare == "" || !hexed && strings.Trim(bare, "0123456789.eE+-") != "" || !smallExponent(bare, hexed) {
		return nil
	}
	if hexed && !strings.ContainsAny(bare, "pP") {
		s += "p0" // an exponent may be left out in C
	}
	f, _, err := big.ParseFloat(s, base(hexed), longDouble, big.ToNearestEven)
	if err != nil || f.IsInf() || f.Sign() != 0 && (f.MantExp(nil) > maxLongExp || f.MantExp(nil) < minLongExp) {
		return nil
	}
	return f
}

func base(hexed bool) int {
	if hexed {
		return 0
	}
	return 10
}

// smallExponent keeps numbers from taking ages: what is beyond it is infinite or
// zero as a long double, which is no valid float.
func smallExponent(s string, hexed bool) bool {
	mark := "eE"
	if hexed {
		mark = "pP"
	}
	i := strings.IndexAny(s, mark)
	if i < 0 {
		return true
	}
	n, err := strconv.Atoi(s[i+1:])
	return err == nil && n < 100_000 && n > -100_000
}

// formatLong writes a number with up to 17 digits behind the point.
func formatLong(f *big.Float) string {
	s := f.Text('f', 17)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return s
}
