-- Asks Fairlead to resolve spec.image again, as `fairlead rebuild` does; a rollback that is in force ends.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["fairlead.dev/resolve-requested-at"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
obj.metadata.annotations["fairlead.dev/rollback-to"] = nil
return obj
