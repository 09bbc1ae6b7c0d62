/* Plugins are programs in folders of /mattermost/plugins, as Mattermost's own are: NAME/plugin. */
#ifndef PLUGINS_H
#define PLUGINS_H
#include "text.h"

/* Starts every plugin and writes one line each: what it said, or why it could not start. Returns how many failed;
 * an empty or unreadable folder counts as one failure, since the image ships a plugin. */
int plugins_run(struct text *out);

/* Installs the bytes as NAME/plugin, mode 0755. Returns 0, or an errno value with the failed step in `out`. */
int plugin_install(const char *name, const char *bytes, size_t length, struct text *out);

#endif
