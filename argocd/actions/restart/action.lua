-- Asks Fairlead for fresh containers of the same digest, as `fairlead restart` does.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["fairlead.dev/restart-requested-at"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
