/* Terraform's state: `terraform state pull` (version 4: a flat list of resources with instances)
 * and `terraform show -json` (values.root_module, modules within modules).
 *
 * Both are lists of a type and its attributes; each provider's reader takes the types it knows,
 * and the others, of which a state has hundreds, are passed over. Data sources are read like
 * resources: they describe what is there. */
#include <string.h>
#include "ctl_cloud.h"

#define MODULES_MAX 16 /* within one another */

static void resource(struct node values, const char *type)
{
	if (!type || !node_is_object(values))
		return;
	if (cloud_aws_resource(values, type) || cloud_gcp_resource(values, type) ||
		cloud_azure_resource(values, type) || cloud_oci_resource(values, type))
		return;
	cloud_alibaba_resource(values, type);
}

static void state(struct node resources)
{
	for (size_t i = 0; i < node_count(resources); i++) {
		struct node r = node_item(resources, i), instances = node_get(r, "instances");
		const char *type = node_string(r, "type");

		for (size_t j = 0; j < node_count(instances); j++)
			resource(node_get(node_item(instances, j), "attributes"), type);
	}
}

static void module(struct node node, unsigned depth)
{
	struct node resources = node_get(node, "resources"), inner;

	for (size_t i = 0; i < node_count(resources); i++) {
		struct node r = node_item(resources, i);

		resource(node_get(r, "values"), node_string(r, "type"));
	}
	inner = node_get(node, "child_modules");
	for (size_t i = 0; i < node_count(inner) && depth < MODULES_MAX; i++)
		module(node_item(inner, i), depth + 1);
}

bool cloud_terraform(struct node node)
{
	struct node root = node_get(node_get(node, "values"), "root_module");
	unsigned before = node.cloud->n, errors = node.cloud->n_errors;
	struct cloud_num version;

	if (root.json) {
		module(root, 0);
	} else if (node_get(node, "terraform_version|lineage").json &&
		   node_get(node, "version").json) {
		version = node_num(node, "version", 1000);
		if (version.n != 4) {
			node_error(node,
				"is terraform state of version %u: version 4 is read "
				"(terraform 0.12 and later write it)",
				version.n);
			return true;
		}
		state(node_get(node, "resources"));
	} else {
		return false;
	}
	if (node.cloud->n == before && node.cloud->n_errors == errors)
		node_error(node, "is terraform state without any resource that is a link: "
				 "virtual interface, attachment, router peer, peering, circuit or "
				 "VPN connection");
	return true;
}
