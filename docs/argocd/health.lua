-- Health of a TrainingRequest for Argo CD. Until the controller has looked at the newest generation, nothing else counts.
local health = { status = "Progressing", message = "waiting for the controller" }
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end

local states = { Succeeded = "Healthy", Failed = "Degraded", Suspended = "Suspended" }
health.status = states[status.phase] or "Progressing"
if status.message ~= nil and status.message ~= "" then
  health.message = status.message
else
  health.message = status.phase or ""
end
return health
