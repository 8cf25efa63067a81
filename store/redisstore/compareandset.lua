-- compare_and_set writes a framed value, or a tombstone, unless the key holds a newer
-- one. It returns 1 if the key holds the value afterwards, 0 if not, and the error,
-- with nothing written, if the key is of another type.
--
-- new   the frame
-- ttl   its time to live in milliseconds; '0': none
-- now   in microseconds since the epoch, of the caller's clock
-- mode  'fill': equal versions keep what is there; 'set': they replace it
--
-- The frame's layout is in internal/frame: the version is bytes 8 to 15, the
-- flags byte 16 (1: a deadline follows in bytes 17 to 24), counted from 0. Numbers
-- are read as two halves of 32 bits, which a double holds exactly.

local function write(key, new, ttl)
  if ttl == '0' then
    redis.call('SET', key, new)
  else
    redis.call('SET', key, new, 'PX', ttl)
  end
  return 1
end

local function compare_and_set(key, new, ttl, now, mode)
  local old = redis.pcall('GETRANGE', key, 0, 24)
  if type(old) == 'table' then
    return old
  end
  if old == '' then
    return write(key, new, ttl) -- nothing, or an empty value of unknown version
  end

  local oldhigh, oldlow = 0, 0 -- a bare value is of version 0
  if #old >= 17 and string.sub(old, 1, 3) == '\193st' then
    if string.byte(old, 4) > 1 then
      return 0 -- a newer program's format: its version is unknown, so keep it
    end

    -- The same frame: this is a retry of a call whose answer was lost.
    if string.sub(old, 1, 17) == string.sub(new, 1, 17) then
      return write(key, new, ttl)
    end

    -- An entry past its deadline is absent, though the key may live a little longer.
    if #old == 25 and string.byte(old, 17) % 2 == 1 then
      local high, low = struct.unpack('>I4I4', old, 18)
      -- A double holds microseconds exactly for 285 years. The sign bit means a
      -- deadline before 1970.
      if high >= 2147483648 or high * 4294967296 + low <= tonumber(now) then
        return write(key, new, ttl)
      end
    end
    oldhigh, oldlow = struct.unpack('>I4I4', old, 9)
  end

  local newhigh, newlow = struct.unpack('>I4I4', new, 9)
  if newhigh ~= oldhigh then
    return newhigh > oldhigh and write(key, new, ttl) or 0
  end
  if newlow ~= oldlow then
    return newlow > oldlow and write(key, new, ttl) or 0
  end
  -- Equal versions. An unknown one replaces an unknown one.
  if mode == 'set' or newhigh == 0 and newlow == 0 then
    return write(key, new, ttl)
  end
  return 0
end
