package marshal

//go:generate go run github.com/tinylib/msgp -tests=false -io=false -unexported -o quote_msgp_test.go

// quote is a type with generated MessagePack methods.
type quote struct {
	Symbol string    `msg:"symbol"`
	Price  float64   `msg:"price"`
	Levels []float64 `msg:"levels"`
	Tags   map[string]string
}
