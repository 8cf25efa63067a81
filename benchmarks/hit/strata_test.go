package hit

func subjects[V any]() []subject[V] { return peers[V]() }
