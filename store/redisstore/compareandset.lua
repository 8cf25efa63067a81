-- Writes a framed value unless the key holds a newer one. Returns 1 if the key
-- holds the value afterwards, else 0.
--
-- KEYS[1] the key
-- ARGV[1] the frame
-- ARGV[2] its time to live in milliseconds; 0: none
-- ARGV[3] now, in microseconds since the epoch, of the caller's clock
-- ARGV[4] 'fill': equal versions keep what is there; 'set': they replace it
--
-- The frame's layout is in internal/frame: the version is bytes 8 to 15, the
-- flags byte 16 (1: a deadline follows in bytes 17 to 24), counted from 0.

local function write()
  if ARGV[2] == '0' then
    redis.call('SET', KEYS[1], ARGV[1])
  else
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  end
  return 1
end

local function byte(s, i) return string.byte(s, i) or 0 end

-- A key of another type makes this an error, and nothing is written.
local old = redis.call('GETRANGE', KEYS[1], 0, 24)
if old == '' and redis.call('EXISTS', KEYS[1]) == 0 then
  return write()
end

local new = ARGV[1]
local framed = string.sub(old, 1, 3) == '\193st'
if framed and byte(old, 4) > 1 then
  return 0 -- a newer program's format: its version is unknown, so keep it
end

-- The same frame: this is a retry of a call whose answer was lost.
if framed and string.sub(old, 1, 17) == string.sub(new, 1, 17) then
  return write()
end

-- An entry past its deadline is absent, though the key may live a little longer.
if framed and #old == 25 and byte(old, 17) % 2 == 1 then
  local deadline = 0
  for i = 18, 25 do
    deadline = deadline * 256 + byte(old, i)
  end
  -- A double holds microseconds exactly for 285 years. The sign bit means a
  -- deadline before 1970.
  if byte(old, 18) >= 128 or deadline <= tonumber(ARGV[3]) then
    return write()
  end
end

local zero = true
for i = 9, 16 do
  local a = byte(new, i)
  local b = framed and byte(old, i) or 0
  if a > b then return write() end
  if a < b then return 0 end
  zero = zero and a == 0
end
-- Equal versions. An unknown one replaces an unknown one.
if zero or ARGV[4] == 'set' then return write() end
return 0
