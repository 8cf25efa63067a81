package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Measures of a chart, in pixels.
const (
	chartWidth = 720
	labelWidth = 205
	valueWidth = 170
	rowHeight  = 26
	barHeight  = 16
	topHeight  = 44
)

// chart is a picture of a workload: a bar for each implementation, fastest
// first, with a whisker from the lower to the upper end of its interval. The
// scale is logarithmic where the slowest takes more than thirty times as long as
// the fastest, and says so.
func chart(w *workload) string {
	all := w.sorted()
	scale := newScale(w)
	var b strings.Builder
	height := topHeight + rowHeight*len(all) + 10
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">
<style>
text { font: 13px system-ui, sans-serif; fill: #222 } .title { font-weight: 600 } .note { fill: #666; font-size: 11px }
.bar { fill: #9aa5b1 } .ours { fill: #1f77b4 } .floor { fill: #dfe3e8 } .whisker { stroke: #444; stroke-width: 1.5 } .back { fill: #fff }
@media (prefers-color-scheme: dark) {
 text { fill: #ddd } .note { fill: #999 } .bar { fill: #6b7683 } .ours { fill: #4aa3df } .floor { fill: #3a424b } .whisker { stroke: #ccc } .back { fill: #0d1117 }
}
</style>
<rect class="back" width="100%%" height="100%%"/>
`, chartWidth, height, chartWidth, height, html.EscapeString(w.name))
	fmt.Fprintf(&b, `<text class="title" x="10" y="18">%s</text>`+"\n", html.EscapeString(w.name))
	fmt.Fprintf(&b, `<text class="note" x="10" y="34">%s, shorter is better%s</text>`+"\n", measured(w), scale.note())
	for n, i := range all {
		b.WriteString(row(i, scale, topHeight+rowHeight*n))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// measured says what the bars are.
func measured(w *workload) string {
	if unit := w.reference().measure(); unit != perOp {
		return html.EscapeString(unit)
	}
	return "time of an operation"
}

// row is the bar of one implementation at height y.
func row(i *impl, sc scale, y int) string {
	s := spreadOf(i.times())
	class := "bar"
	switch {
	case i.ours():
		class = "bar ours"
	case i.floor():
		class = "bar floor"
	}
	mid := y + barHeight/2
	lo, hi := labelWidth+sc.pixels(s.lo), labelWidth+sc.pixels(s.hi)
	var b strings.Builder
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, labelWidth-8, mid+5, html.EscapeString(i.name))
	fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, class, labelWidth, y, sc.pixels(s.mid), barHeight)
	fmt.Fprintf(&b, `<line class="whisker" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`, lo, mid, hi, mid)
	fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s</text>`+"\n", hi+8, mid+5, html.EscapeString(figure(i.measure(), s.mid)))
	return b.String()
}

// scale maps seconds to pixels.
type scale struct {
	lo, hi float64
	log    bool
}

func newScale(w *workload) scale {
	s := scale{lo: math.Inf(1)}
	for _, i := range w.impls {
		sp := spreadOf(i.times())
		s.lo, s.hi = min(s.lo, sp.lo), max(s.hi, sp.hi)
	}
	s.log = s.lo > 0 && s.hi > 30*s.lo
	return s
}

func (s scale) pixels(v float64) float64 {
	const room = chartWidth - labelWidth - valueWidth
	if !s.log {
		return max(v/s.hi*room, 1)
	}
	from := s.lo / 2 // or the fastest would have no bar
	return max(math.Log(v/from)/math.Log(s.hi/from)*room, 1)
}

func (s scale) note() string {
	if s.log {
		return "; logarithmic scale"
	}
	return ""
}
