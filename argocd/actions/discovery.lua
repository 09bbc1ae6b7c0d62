-- What can be asked of a ContainerApp: see action.lua of each.
local actions = {}
local isSuspended = obj.spec ~= nil and obj.spec.suspend == true
actions["resolve"] = { ["disabled"] = false, ["displayName"] = "Resolve image again" }
-- A suspended app has no container to restart.
actions["restart"] = { ["disabled"] = isSuspended, ["displayName"] = "Restart" }
return actions
