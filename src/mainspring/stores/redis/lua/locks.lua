-- uses request
-- Named locks: a hash of 'node fence' by name, which counts as long as that node is there.

-- Returns node and fence of a lock's holder; nil: nobody holds it.
local function holder_of(row)
  local node, fence = string.match(row or '', '^(%d+) (%d+)$')
  if node and call('SISMEMBER', at .. 'nodes', node) == 1 then return node, fence end
end
