// Package resp reads requests and writes replies of the Redis serialization
// protocol, versions 2 and 3 (https://redis.io/docs/reference/protocol-spec).
//
// A Reader takes memory for what has arrived, never for what was announced: a bulk
// length of a gigabyte costs nothing until the bytes come, and is refused at once
// where it is beyond the limit. It goes on where it stopped when more bytes come,
// so that a request that arrives in small pieces is looked at once. It allocates
// nothing for a request that fits its buffer.
package resp
