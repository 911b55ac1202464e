/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.varlink.service: what any Varlink client may ask of any Varlink service. */
#include <string.h>

#include "daemon/methods.h"
#include "lib/cleanup.h"

/* daemon/io.vnetd.varlink, made into an object by the Makefile. */
extern const char io_vnetd_varlink[];

static const char service_text[] =
	"# The Varlink Service Interface is provided by every varlink service. It\n"
	"# describes the service and the interfaces it implements.\n"
	"interface org.varlink.service\n"
	"\n"
	"# Get a list of all the interfaces a service provides and information\n"
	"# about the implementation.\n"
	"method GetInfo() -> (\n"
	"  vendor: string,\n"
	"  product: string,\n"
	"  version: string,\n"
	"  url: string,\n"
	"  interfaces: []string\n"
	")\n"
	"\n"
	"# Get the description of an interface that is implemented by this service.\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n"
	"\n"
	"# The requested interface was not found.\n"
	"error InterfaceNotFound (interface: string)\n"
	"\n"
	"# The requested method was not found\n"
	"error MethodNotFound (method: string)\n"
	"\n"
	"# The interface defines the requested method, but the service does not\n"
	"# implement it.\n"
	"error MethodNotImplemented (method: string)\n"
	"\n"
	"# One of the passed parameters is invalid.\n"
	"error InvalidParameter (parameter: string)\n";

const char *varlink_interface_text(const char *interface)
{
	if (strcmp(interface, VARLINK_VNETD) == 0)
		return io_vnetd_varlink;
	if (strcmp(interface, VARLINK_SERVICE) == 0)
		return service_text;
	return NULL;
}

void varlink_get_info(struct call *c)
{
	call_reply(c, json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", "vnetd", "product",
				"vnetd", "version", VNET_VERSION, "url", "", "interfaces",
				VARLINK_SERVICE, VARLINK_VNETD));
}

void varlink_get_interface_description(struct call *c)
{
	const json_t *interface = json_object_get(call_parameters(c), "interface");
	const char *name = json_string_value(interface), *text;

	if (!name) {
		call_varlink_error(c, VARLINK_SERVICE ".InvalidParameter", "parameter",
				   "interface");
		return;
	}
	text = varlink_interface_text(name);
	if (text)
		call_reply(c, json_pack("{s:s}", "description", text));
	else
		call_varlink_error(c, VARLINK_SERVICE ".InterfaceNotFound", "interface", name);
}
