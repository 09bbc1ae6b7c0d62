/** How users call the plugin; alone, so that the command tree loads nothing else. */
export const PLUGIN_PROGRAM = 'kubectl fairlead'

/** Its own name among the field managers: what it writes is the user's word, not the controller's. */
export const PLUGIN_FIELD_MANAGER = 'kubectl-fairlead'
