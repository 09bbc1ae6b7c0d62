-- Health of a ContainerApp for Argo CD. The rules are kstatus' own: a status of an older spec says nothing, Stalled
-- needs somebody's hand (also where it is tried again meanwhile), Reconciling may pass by itself, and Ready sums up.
local function condition(conditions, kind)
  for _, entry in ipairs(conditions) do
    if entry.type == kind then
      return entry
    end
  end
  return nil
end

local function isTrue(entry)
  return entry ~= nil and entry.status == "True"
end

local function say(entry, otherwise)
  if entry == nil then
    return otherwise
  end
  if entry.message == nil or entry.message == "" then
    return entry.reason or otherwise
  end
  if entry.reason == nil or entry.reason == "" then
    return entry.message
  end
  return entry.reason .. ": " .. entry.message
end

if obj.metadata.deletionTimestamp ~= nil then
  return { status = "Progressing", message = "Being deleted" }
end

local status = obj.status
if status == nil or status.conditions == nil then
  return { status = "Progressing", message = "Waiting for Fairlead" }
end
if status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for Fairlead to see the current spec" }
end

local ready = condition(status.conditions, "Ready")
local stalled = condition(status.conditions, "Stalled")
local reconciling = condition(status.conditions, "Reconciling")

if isTrue(stalled) then
  return { status = "Degraded", message = say(stalled, "Stalled") }
end
if ready ~= nil and ready.reason == "Suspended" then
  return { status = "Suspended", message = say(ready, "Suspended") }
end
if isTrue(reconciling) then
  local message = say(reconciling, "Reconciling")
  -- Its own reason says nothing; that of Ready names the trouble, such as RegistryUnavailable.
  if ready ~= nil and ready.status == "False" then
    message = (ready.reason or "NotReady") .. ": " .. (reconciling.message or "")
  end
  return { status = "Progressing", message = message }
end
if isTrue(ready) then
  return { status = "Healthy", message = say(ready, "Ready") }
end
-- Neither of the two: an app that ends again and again, for which waiting is no help.
if ready ~= nil and ready.status == "False" then
  return { status = "Degraded", message = say(ready, "Not ready") }
end
return { status = "Progressing", message = say(ready, "Waiting to become ready") }
