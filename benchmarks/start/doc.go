// Package start measures the whole example program, from its start to its end:
// with an empty folder, where it fetches a year of prices of 31 companies from its
// (slow) interface and stores them, and on the folder that it has filled, where it
// answers everything from disk. The program is built once and started in turns.
//
//	make bench PART=start
package start
