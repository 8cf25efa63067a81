// Package notify sends typed messages between the parts of an application, or
// between its processes: a price alert, a finished import.
//
//	alerts := notify.NewTopics[Alert](bus, nil)
//	err := alerts.Publish(ctx, "alerts:price", Alert{Symbol: "AAPL", Price: 123.45})
//
//	sub, err := alerts.Subscribe(ctx, "alerts:*", nil)
//	defer sub.Close()
//	for msg, err := range sub.All(ctx) { ... }
//
// # Buses
//
// A [Bus] carries the bytes. [Local] works within a process; package redisbus
// carries messages between processes, by Redis Pub/Sub or, where each message has
// to be dealt with, by a Redis Stream. The package itself imports the standard
// library only.
//
// # Patterns
//
// A subscription names one topic, or a pattern in which every "*" stands for any
// run of characters, ":" included. "\*" is a star and "\\" a backslash.
//
// # What may be lost
//
// On Local and over Pub/Sub delivery is at most once, in the order of publication
// per publisher, to every subscription. Over a Stream it is at least once, to one
// subscription of each group, until [Message.Ack]. Each
// subscription has a bounded buffer, and [Overflow] says what happens when its
// reader is too slow. A reader is told of every loss that the bus notices, by a
// message with Missed set, in the place where the lost ones would have been: also
// when a connection broke and nobody knows how many were published meanwhile. A
// reader that mirrors state should read that state anew then.
package notify
