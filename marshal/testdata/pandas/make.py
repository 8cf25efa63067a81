"""Writes the files of this folder with pandas: python3 make.py"""

import numpy as np
import pandas as pd

index = pd.to_datetime(["2017-01-03", "2017-01-04", "2017-01-05"])
bars = pd.DataFrame(
    {
        "Open": [115.8, 115.85, np.nan],
        "Close": [116.15, 116.0, 1 / 3],
        "Volume": [28781900, 21118100, 22193600],
        "Note": ["BTC/USDT", 'é "q"', None],
        "Halted": [False, True, False],
    },
    index=index,
)
frames = {
    "bars": bars,
    "bars_tz": bars.tz_localize("America/New_York"),
    "numbered": bars.reset_index(drop=True),
    "named": bars.set_index("Note")[["Open", "Close"]].iloc[:2],
    "empty": pd.DataFrame(),
    "no_rows": bars.iloc[:0],
    "gap": pd.DataFrame({"Volume": [1.0, np.nan]}, index=index[:2]),
    "extremes": pd.DataFrame({"Close": [1e-11, 1e15, 123456789.123456789, -0.0, np.inf]}),
    "times": pd.DataFrame({"Close": [1.0, 2.0], "At": [pd.Timestamp("2017-01-03 09:30:00.123"), pd.NaT]}),
}
for name, frame in frames.items():
    with open(name + ".json", "w") as f:
        f.write(frame.to_json())
with open("bars_iso.json", "w") as f:
    f.write(bars.to_json(date_format="iso"))
with open("bars_tz_iso.json", "w") as f:
    f.write(frames["bars_tz"].to_json(date_format="iso"))
