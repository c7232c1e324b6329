-- Queries availability on random dates, for wrk.
-- wrk … URL -- SEED HOTEL NIGHTS DATES
--   SEED    a number; the same one gives the same requests
--   HOTEL   the hotel's id
--   NIGHTS  the number of nights of each query
--   DATES   the number of arrival dates, from 2026-06-02 on

local DAY = 86400
local FIRST = os.time({ year = 2026, month = 6, day = 2, hour = 12 })

local paths = {}

function init(args)
  local hotel, nights, dates = args[2], tonumber(args[3]), tonumber(args[4])
  for number = 1, dates do
    local arrival = FIRST + (number - 1) * DAY
    paths[number] = wrk.format("GET", string.format(
      "/v1/hotels/%s/availability?arrival=%s&departure=%s",
      hotel, os.date("!%Y-%m-%d", arrival), os.date("!%Y-%m-%d", arrival + nights * DAY)))
  end
  math.randomseed(tonumber(args[1]))
end

function request()
  return paths[math.random(#paths)]
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), failed.status,
    failed.connect + failed.read + failed.write + failed.timeout))
end
