// Package hitratio measures how much of a sequence of reads each cache answers.
// A miss sets the key. The figure is the share of reads that miss: less is better.
//
// # Same size for all
//
// Every cache holds about the same number of entries. strata and its otter engine
// count bytes: their capacity in bytes is set so that, filled with four times as
// many keys, they hold that number; they hold it at the end of a sequence too
// (TestSameSize). All values of a run have one length, so that the
// entries take some 4 MiB. After each set the cache is waited for where it defers work
// (ristretto drops a part of the sets of a tight loop, which a program that loads what
// it misses would not run into).
//
// # Sequences
//
//	zipf-0.8    500,000 reads of 100,000 keys, Zipf's law with exponent 0.8
//	zipf-1.0    the same with exponent 1.0
//	scans       zipf-1.0 with a scan of 20,000 keys, never read again, after every 40,000 reads
//	loop        keys 0 to 11,999 in order, again and again: what LRU is worst at
//	prices      generated from the prices that the example ships: each trading day
//	            of 2017, averages over 20 days of 31 companies' bars, in the order
//	            of that day's volume and the more often the larger it is
//	build       real: the packages whose export data a compiler reads when this
//	            module and its tests are built, package by package in dependency order
//	history     real: the files of this repository in the order in which its
//	            commits touched them
//
// The recorded sequences are in testdata, as numbers. Larger public traces are not
// shipped, for their licences do not allow it or are not stated.
//
//	make bench PART=hitratio
package hitratio
