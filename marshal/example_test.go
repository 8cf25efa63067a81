package marshal_test

import (
	"bytes"
	"fmt"

	"github.com/stratacache/strata/marshal"
)

type Info struct {
	Sector    string  `json:"sector"`
	MarketCap float64 `json:"marketCap"`
}

func ExampleFor() {
	prices, err := marshal.For[float64]()
	if err != nil {
		fmt.Println(err)
		return
	}
	infos, err := marshal.For[Info]()
	if err != nil {
		fmt.Println(err)
		return
	}
	p, _ := prices.Append(nil, 187.25)
	i, _ := infos.Append(nil, Info{"Technology", 2.5e12})
	fmt.Printf("%s %s\n%s %s\n", prices.Name(), p, infos.Name(), i)
	// Output:
	// text 187.25
	// json {"sector":"Technology","marketCap":2500000000000}
}

func ExampleEncrypt() {
	ring, err := marshal.NewKeyring("2026-11", map[string][]byte{
		"2026-11": bytes.Repeat([]byte{1}, 32), // in earnest: 32 random bytes
		"2026-05": bytes.Repeat([]byte{2}, 32), // still read
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	compressed, err := marshal.Zstd(marshal.JSON[Info](), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	codec, err := marshal.Encrypt(compressed, ring)
	if err != nil {
		fmt.Println(err)
		return
	}
	b, _ := marshal.Append(codec, nil, "info:AAPL", Info{"Technology", 2.5e12})
	v, err := marshal.Decode(codec, "info:AAPL", b)
	fmt.Println(codec.Name(), v.Sector, err)
	_, err = marshal.Decode(codec, "info:MSFT", b)
	fmt.Println(err)
	// Output:
	// json+zstd+aead Technology <nil>
	// marshal: json+zstd+aead: the data was modified, or written under another key
}

func ExampleNamed() {
	_, err := marshal.Named[Info]("msgpack")
	fmt.Println(err)
	// Output: marshal: msgpack: marshal_test.Info has no MarshalMsg and UnmarshalMsg: generate them with github.com/tinylib/msgp (for marshal_test.Info there are: json, json-strict, cbor)
}
