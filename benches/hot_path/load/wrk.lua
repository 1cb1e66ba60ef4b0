-- The load: every session in turn, with the keys of its tenant; sends have a body of 300 bytes.
-- Arguments: a file of lines "session key", and the name of a request (Request in load/mod.rs).
-- Addresses of the targets stand in TARGETS, host:port separated by commas; threads take them in turn.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  local addresses = {}
  for host, port in string.gmatch(os.getenv("TARGETS"), "([^:,]+):(%d+)") do
    local found = wrk.lookup(host, port)
    addresses[#addresses + 1] = found[1]
  end
  thread.addr = addresses[threads % #addresses + 1]
  threads = threads + 1
end

function init(args)
  keyed = args[2] == "keyed-send"
  local read = ({ session = "/sessions/%s", sessions = "/sessions", messages = "/sessions/%s/messages" })[args[2]]
  local total = tonumber(os.getenv("THREADS"))
  heads, count, at = {}, 0, 0
  local tail = '","type":"text","text":"'
  local line_number = 0
  for line in io.lines(args[1]) do
    if line_number % total == number then
      local session, key = string.match(line, "(%S+) (%S+)")
      count = count + 1
      if read then
        heads[count] = "GET /api/v1" .. string.gsub(read, "%%s", session) .. " HTTP/1.1\r\nHost: gateway\r\n" ..
          "Authorization: Bearer " .. key .. "\r\n\r\n"
      else
        heads[count] = "POST /api/v1/sessions/" .. session .. "/messages HTTP/1.1\r\nHost: gateway\r\n" ..
          "Authorization: Bearer " .. key .. "\r\nContent-Type: application/json\r\nContent-Length: 300\r\n"
      end
    end
    line_number = line_number + 1
  end
  local start = '{"to":"+491701234567' .. tail
  body = start .. string.rep("x", 300 - #start - 2) .. '"}'
  plain = not read and "\r\n" .. body
  sent = 0
  run = os.getenv("RUN") .. "-" .. number .. "-"
  if plain and not keyed and count <= 2000 then
    for i = 1, count do heads[i] = heads[i] .. plain end
    plain = nil
  end
end

function request()
  at = at % count + 1
  if keyed then
    sent = sent + 1
    return heads[at] .. "Idempotency-Key: " .. run .. sent .. "\r\n\r\n" .. body
  end
  if plain then return heads[at] .. plain end
  return heads[at]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT requests=%d duration_us=%d connect=%d read=%d write=%d status=%d timeout=%d p50_us=%d p99_us=%d\n",
    summary.requests, summary.duration, e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
