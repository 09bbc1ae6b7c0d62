/** How users call the plugin; alone, so that the command tree loads nothing else. */
export const PLUGIN_PROGRAM = 'kubectl fairlead'
