-- Books random stays, for wrk: one request after another on each connection, all guests different.
-- wrk … URL -- SEED HOTELS PREFIX TYPES NIGHTS [PAUSE]
--   SEED    a number; the same one gives the same requests
--   HOTELS  the number of hotels: PREFIX-1, PREFIX-2, …
--   TYPES   room types, with commas
--   NIGHTS  the number of arrival dates, from 2026-06-02 on
--   PAUSE   milliseconds that each connection waits before each request

local DAY = 86400
local FIRST = os.time({ year = 2026, month = 6, day = 2, hour = 12 })
local NIGHTS_MAX = 3

local seed, hotels, prefix, nights
local types, dates = {}, {}
local guest = 0
local headers = { ["Content-Type"] = "application/json" }

function init(args)
  seed, hotels, prefix, nights = tonumber(args[1]), tonumber(args[2]), args[3], tonumber(args[5])
  for code in args[4]:gmatch("[^,]+") do types[#types + 1] = code end
  for number = 0, nights + NIGHTS_MAX do dates[number] = os.date("!%Y-%m-%d", FIRST + number * DAY) end
  if args[6] then
    local pause = tonumber(args[6])
    function delay() return pause end
  end
  math.randomseed(seed)
end

function request()
  guest = guest + 1
  local arrival = math.random(0, nights - 1)
  local body = string.format(
    '{"room_type":"%s","arrival":"%s","departure":"%s","adults":2,' ..
    '"guest":{"name":"Guest %d of %d","email":"guest-%d-%d@example.com","phone":"+351 289 000 000"},"source":"direct"}',
    types[math.random(#types)], dates[arrival], dates[arrival + math.random(NIGHTS_MAX)], guest, seed, guest, seed)
  return wrk.format("POST", "/v1/hotels/" .. prefix .. "-" .. math.random(hotels) .. "/bookings", headers, body)
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), failed.status,
    failed.connect + failed.read + failed.write + failed.timeout))
end
