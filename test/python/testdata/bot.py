"""What a stock-market bot does with Redis, in the calls of redis-py and pandas.

    bot.py HOST:PORT COMMAND

Each command prints what it saw, one line each, for the Go test to compare.
"""

import io
import json
import math
import sys

import numpy as np
import pandas as pd
import redis

FIVE_MINUTES, FOUR_HOURS, ONE_DAY = 300, 14400, 86400


class Cache:
    """The hand-written wrapper: typed calls, and fetch on a miss."""

    def __init__(self, client):
        self.redis = client

    def price(self, symbol):
        raw = self.redis.get(f"price:{symbol}")
        return None if raw is None else float(raw)

    def set_price(self, symbol, price):
        self.redis.setex(f"price:{symbol}", FIVE_MINUTES, price)

    def document(self, key):
        raw = self.redis.get(key)
        return None if raw is None else json.loads(raw)

    def set_document(self, key, ttl, value):
        self.redis.setex(key, ttl, json.dumps(value))

    def history(self, symbol, interval="1d", period="1y"):
        raw = self.redis.get(f"hist:{symbol}:{interval}:{period}")
        return None if raw is None else pd.read_json(io.StringIO(raw))

    def set_history(self, symbol, frame, interval="1d", period="1y", **how):
        self.redis.setex(f"hist:{symbol}:{interval}:{period}", ONE_DAY, frame.to_json(**how))

    def history_or_fetch(self, symbol, fetch):
        frame = self.history(symbol)
        if frame is None:
            frame = fetch(symbol)
            self.set_history(symbol, frame)
        return frame


def bars(zone=None, days=3):
    index = pd.date_range("2017-01-03 09:30", periods=days, name="Date", tz=zone)
    step = np.arange(days)
    frame = pd.DataFrame(
        {
            "Open": 115.8 + step,
            "High": 116.25 + step,
            "Low": 115.5 + step,
            "Close": 1 / 3 + step,
            "Volume": 28781900 + step,
        },
        index=index,
    )
    return frame


def gap(frame):
    frame = frame.copy()
    frame.iloc[1, :4] = np.nan
    return frame


PRICES = {
    "AAPL": 123.45,
    "BTC/USDT": 6.1e-07,
    "BRK.B": 5,
    "ÖMV🚀": 1e22,
    "HALTED": math.nan,
    "INF": math.inf,
    "NEG": -math.inf,
    "SUM": 0.1 + 0.2,
    "ZERO": -0.0,
    "NUMPY": float(np.float64(123.456)),
}


def write(cache):
    for symbol, price in PRICES.items():
        cache.set_price(symbol, price)
    cache.redis.set("price:FOREVER", "7.5")
    cache.redis.persist("price:FOREVER")  # a server with rules gives it a time to live
    cache.redis.psetex("price:SOON", 60500, "8.5")
    cache.set_document("price:batch:1483401600", FIVE_MINUTES, {"AAPL": 116.15, "BTC/USDT": 998.5, "é": 1})
    cache.set_document("info:AAPL", FOUR_HOURS, {"marketCap": 2.5e12, "sector": "Technologie é 🚀", "pe": None, "tags": ["a", 'q"']})
    cache.set_document("tickers:all", FOUR_HOURS, ["AAPL", "BTC/USDT", "ÖMV🚀"])
    cache.set_document("info:NAN", FOUR_HOURS, {"pe": math.nan})
    cache.set_history("PLAIN", bars())
    cache.set_history("GAP", gap(bars()))
    cache.set_history("BTC/USDT", bars())
    cache.set_history("NEWYORK", bars("America/New_York"))
    cache.set_history("ISO", bars("America/New_York"), date_format="iso")
    cache.set_history("NOROWS", bars().iloc[:0])
    cache.set_history("EMPTY", pd.DataFrame())
    cache.set_history("LARGE", bars(days=2520))


def show(frame):
    zone = getattr(frame.index, "tz", None)
    kinds = ",".join(str(t) for t in frame.dtypes)
    first = frame.index[0].isoformat() if len(frame) else "-"
    return f"{frame.shape} {kinds} {type(frame.index).__name__} {zone} {first} {frame.iloc[:3].round(10).values.tolist()}"


def read(cache):
    for symbol in PRICES:
        print(symbol, repr(cache.price(symbol)), cache.redis.ttl(f"price:{symbol}") in range(290, 301))
    print("absent", cache.price("NONE"), "forever", cache.price("FOREVER"), cache.redis.ttl("price:FOREVER"))
    print("raw", ascii(cache.redis.get("price:BTC/USDT")), cache.redis.type("price:AAPL"))
    for key in ["price:batch:1483401600", "info:AAPL", "tickers:all"]:
        print(key, json.dumps(cache.document(key), sort_keys=True))
    for symbol in ["PLAIN", "GAP", "BTC/USDT", "NEWYORK", "NOROWS"]:
        print(symbol, show(cache.history(symbol)))
    same = cache.history("LARGE")
    pd.testing.assert_frame_equal(same, bars(days=2520).round(10), check_freq=False, check_names=False)
    print("LARGE", same.shape)


def together(cache):
    """Meets Go at keys that Go has written, then writes and deletes some."""

    def never(symbol):
        raise AssertionError(f"fetched {symbol}, which Go has cached")

    print("from Go:", len(cache.history_or_fetch("GO", never)))
    print("fetched:", len(cache.history_or_fetch("PY", lambda _: bars())))
    cache.set_price("SHARED", cache.price("SHARED") + 1)
    cache.redis.delete("price:GONE")
    with cache.redis.pipeline() as pipe:
        pipe.setex("price:P1", FIVE_MINUTES, 1.5)
        pipe.expire("price:KEPT", ONE_DAY)
        pipe.mget("price:SHARED", "price:GONE")
        print("pipeline:", pipe.execute())


if __name__ == "__main__":
    host, port = sys.argv[1].rsplit(":", 1)
    client = redis.Redis(host=host, port=int(port), db=0, decode_responses=True)
    {"write": write, "read": read, "together": together}[sys.argv[2]](Cache(client))
