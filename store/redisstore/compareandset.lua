-- Writes a framed value, or a tombstone, unless the key holds a newer one. Returns
-- 1 if the key holds the value afterwards, else 0.
--
-- KEYS[1] the key
-- ARGV[1] the frame
-- ARGV[2] its time to live in milliseconds; 0: none
-- ARGV[3] now, in microseconds since the epoch, of the caller's clock
-- ARGV[4] 'fill': equal versions keep what is there; 'set': they replace it
--
-- The frame's layout is in internal/frame: the version is bytes 8 to 15, the
-- flags byte 16 (1: a deadline follows in bytes 17 to 24), counted from 0. Numbers
-- are read as two halves of 32 bits, which a double holds exactly.

local function write()
  if ARGV[2] == '0' then
    redis.call('SET', KEYS[1], ARGV[1])
  else
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  end
  return 1
end

-- A key of another type makes this an error, and nothing is written.
local old = redis.call('GETRANGE', KEYS[1], 0, 24)
if old == '' then
  return write() -- nothing, or an empty value of unknown version
end

local new = ARGV[1]
local oldhigh, oldlow = 0, 0 -- a bare value is of version 0
if #old >= 17 and string.sub(old, 1, 3) == '\193st' then
  if string.byte(old, 4) > 1 then
    return 0 -- a newer program's format: its version is unknown, so keep it
  end

  -- The same frame: this is a retry of a call whose answer was lost.
  if string.sub(old, 1, 17) == string.sub(new, 1, 17) then
    return write()
  end

  -- An entry past its deadline is absent, though the key may live a little longer.
  if #old == 25 and string.byte(old, 17) % 2 == 1 then
    local high, low = struct.unpack('>I4I4', old, 18)
    -- A double holds microseconds exactly for 285 years. The sign bit means a
    -- deadline before 1970.
    if high >= 2147483648 or high * 4294967296 + low <= tonumber(ARGV[3]) then
      return write()
    end
  end
  oldhigh, oldlow = struct.unpack('>I4I4', old, 9)
end

local newhigh, newlow = struct.unpack('>I4I4', new, 9)
if newhigh ~= oldhigh then
  return newhigh > oldhigh and write() or 0
end
if newlow ~= oldlow then
  return newlow > oldlow and write() or 0
end
-- Equal versions. An unknown one replaces an unknown one.
if ARGV[4] == 'set' or newhigh == 0 and newlow == 0 then return write() end
return 0
