package market

// listing is where a company was listed in 2017, and its sector in the Global
// Industry Classification Standard of that year.
type listing struct{ market, sector string }

// listings are facts that the price file does not have.
var listings = map[string]listing{
	"AABA":  {"nasdaq", "Financials"},
	"AAPL":  {"nasdaq", "Information Technology"},
	"AMZN":  {"nasdaq", "Consumer Discretionary"},
	"AXP":   {"nyse", "Financials"},
	"BA":    {"nyse", "Industrials"},
	"CAT":   {"nyse", "Industrials"},
	"CSCO":  {"nasdaq", "Information Technology"},
	"CVX":   {"nyse", "Energy"},
	"DIS":   {"nyse", "Consumer Discretionary"},
	"GE":    {"nyse", "Industrials"},
	"GOOGL": {"nasdaq", "Information Technology"},
	"GS":    {"nyse", "Financials"},
	"HD":    {"nyse", "Consumer Discretionary"},
	"IBM":   {"nyse", "Information Technology"},
	"INTC":  {"nasdaq", "Information Technology"},
	"JNJ":   {"nyse", "Health Care"},
	"JPM":   {"nyse", "Financials"},
	"KO":    {"nyse", "Consumer Staples"},
	"MCD":   {"nyse", "Consumer Discretionary"},
	"MMM":   {"nyse", "Industrials"},
	"MRK":   {"nyse", "Health Care"},
	"MSFT":  {"nasdaq", "Information Technology"},
	"NKE":   {"nyse", "Consumer Discretionary"},
	"PFE":   {"nyse", "Health Care"},
	"PG":    {"nyse", "Consumer Staples"},
	"TRV":   {"nyse", "Financials"},
	"UNH":   {"nyse", "Health Care"},
	"UTX":   {"nyse", "Industrials"},
	"VZ":    {"nyse", "Telecommunication Services"},
	"WMT":   {"nyse", "Consumer Staples"},
	"XOM":   {"nyse", "Energy"},
}
