package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/pythontest"
)

// python returns the output of a script, or skips the test where Python, pandas
// or an engine for Parquet is missing.
func python(t *testing.T, script string, args ...string) string {
	t.Helper()
	interpreter, err := pythontest.Find("pandas", "pyarrow")
	if err != nil {
		t.Skip(err) // distributions have no pyarrow; Arrow itself is tested beside this
	}
	return pythontest.Run(t, interpreter, "", append([]string{"-c", script}, args...)...)
}

func TestPandasReads(t *testing.T) {
	file := write(t, bars(3, 10), nil)
	got := python(t, `
import sys, pandas as pd
df = pd.read_parquet(sys.argv[1])
print(df["date"].dt.tz, df["volume"].dtype, df["close"].dtype)
for r in df.itertuples():
    print(r.date.isoformat(), r.open, r.close, r.volume)
`, file)
	want := "UTC int64 float64\n"
	for _, b := range bars(3, 10) {
		want += fmt.Sprintf("%s+00:00 %s %s %d\n", b.Date.Format("2006-01-02T15:04:05"), pyFloat(b.Open), pyFloat(b.Close), b.Volume)
	}
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// pyFloat formats a float with a fraction, as Python does.
func pyFloat(f float64) string {
	s := fmt.Sprint(f)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func TestPandasWrites(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.parquet")
	python(t, `
import sys, pandas as pd
n = 5
df = pd.DataFrame({
    "volume": [i * 1000 for i in range(n)],
    "close": [10 - (n - 1 - i) / 4 for i in range(n)],
    "open": [10 - (n - 1 - i) / 4 - 1 for i in range(n)],
    "high": [10 - (n - 1 - i) / 4 + 1.5 for i in range(n)],
    "low": [10 - (n - 1 - i) / 4 - 1.5 for i in range(n)],
    "name": ["x"] * n,
}, index=pd.date_range("2023-01-02", periods=n, name="date"))
df.to_parquet(sys.argv[1])
`, file)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := codec[[]Bar](t, nil).Decode(data)
	if err != nil || !reflect.DeepEqual(got, bars(5, 10)) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, bars(5, 10))
	}
	if got[0].Date.Location() != time.UTC {
		t.Errorf("location %v", got[0].Date.Location())
	}
}
