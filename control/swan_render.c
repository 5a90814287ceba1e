/* swanctl.conf from the configuration: a connection for each IKE link over one VRF.
 *
 * A connection and its child are called as the link. The child covers everything (0.0.0.0/0 and
 * ::/0 both ways), because routes decide what goes into the link, and carries the link's number as
 * if_id, by which its SAs find their link. Neither side is ever re-authenticated: that would break
 * before it makes. rekey_time lies so long before the end as the link says, minus a random part so
 * that two ends do not start at once. Who begins begins again whenever it ended, without giving
 * up. A pre-shared key is written in hex, whatever it is made of. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "swan.h"

#define PSK_MAX 128

bool swan_is_ike(const struct cfg_link *link)
{
	return link && link->encap == CFG_ENCAP_IPSEC && link->ipsec.key && !link->shut;
}

static int psk_read(const struct config *config, const char *name, char *ret_key, size_t *ret_len)
{
	char path[4096];
	struct stat st;
	ssize_t n;
	int fd;

	if (!config->defaults.keys || strchr(name, '/') || name[0] == '.' ||
		snprintf(path, sizeof(path), "%s/%s", config->defaults.keys, name) >=
			(int)sizeof(path))
		return -EINVAL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (st.st_mode & 077)) {
		close(fd);
		return -EACCES;
	}
	n = read(fd, ret_key, PSK_MAX + 3);
	close(fd);
	while (n > 0 && (ret_key[n - 1] == '\n' || ret_key[n - 1] == '\r'))
		n--;
	if (n <= 0 || n > PSK_MAX)
		return -EMSGSIZE;
	*ret_len = (size_t)n;
	return 0;
}

static void list(FILE *out, const char *key, const struct cfg_words *words, const char *indent)
{
	fprintf(out, "%s%s = ", indent, key);
	for (unsigned i = 0; i < words->n; i++)
		fprintf(out, "%s%s", i ? ", " : "", words->items[i]);
	fputc('\n', out);
}

static void child(FILE *out, const struct cfg_link *link)
{
	const struct cfg_keying *k = &link->ipsec;
	bool begin = k->initiator != CFG_INITIATOR_THEM;
	uint32_t margin = k->rekey_s;

	fprintf(out, "    children {\n      %s {\n", link->name);
	fprintf(out, "        mode = tunnel\n"
		     "        local_ts = 0.0.0.0/0, ::/0\n"
		     "        remote_ts = 0.0.0.0/0, ::/0\n");
	list(out, "esp_proposals", &k->esp, "        ");
	fprintf(out, "        life_time = %us\n        rekey_time = %us\n        rand_time = %us\n",
		k->esp_lifetime_s, k->esp_lifetime_s - margin / 2, margin / 2);
	if (k->esp_lifetime_kbytes)
		fprintf(out, "        life_bytes = %llu\n        rekey_bytes = %llu\n",
			(unsigned long long)k->esp_lifetime_kbytes * 1024,
			(unsigned long long)k->esp_lifetime_kbytes * 1024 / 10 * 9);
	fprintf(out,
		"        replay_window = %u\n        start_action = %s\n        close_action = %s\n"
		"        dpd_action = %s\n        hw_offload = no\n      }\n    }\n",
		k->replay, begin ? "start" : "none", begin ? "start" : "none",
		begin ? "restart" : "clear");
}

static void connection(FILE *out, const struct cfg_link *link)
{
	const struct cfg_keying *k = &link->ipsec;
	uint32_t margin = k->rekey_s, id = config_if_id(link);
	char local[IP_STRLEN], remote[IP_STRLEN];

	fprintf(out, "  %s {\n    version = 2\n    local_addrs = %s\n    remote_addrs = %s\n",
		link->name, ip_addr_format(&link->local, local),
		ip_addr_format(&link->remote, remote));
	list(out, "proposals", &k->ike, "    ");
	fprintf(out, "    if_id_in = %u\n    if_id_out = %u\n", id, id);
	fprintf(out,
		"    mobike = no\n    encap = %s\n    fragmentation = yes\n    unique = replace\n",
		k->nat_t ? "yes" : "no");
	fprintf(out,
		"    reauth_time = 0\n    rekey_time = %us\n    over_time = %us\n    rand_time = "
		"%us\n",
		k->ike_lifetime_s - margin, margin, margin / 2);
	fprintf(out, "    dpd_delay = %us\n    keyingtries = %u\n", k->dpd_s,
		k->initiator == CFG_INITIATOR_THEM ? 1 : 0);
	fprintf(out, "    local {\n      auth = psk\n      id = \"%s\"\n    }\n", k->local_id);
	fprintf(out, "    remote {\n      auth = psk\n      id = \"%s\"\n    }\n", k->remote_id);
	child(out, link);
	fprintf(out, "  }\n");
}

static int secret(FILE *out, const struct config *config, const struct cfg_link *link)
{
	char key[PSK_MAX + 4];
	size_t len = 0;
	int rc = psk_read(config, link->ipsec.key, key, &len);

	if (!rc) {
		fprintf(out,
			"  ike-%s {\n    id-local = \"%s\"\n    id-remote = \"%s\"\n    secret "
			"= 0x",
			link->name, link->ipsec.local_id, link->ipsec.remote_id);
		for (size_t i = 0; i < len; i++)
			fprintf(out, "%02x", (uint8_t)key[i]);
		fprintf(out, "\n  }\n");
	}
	explicit_bzero(key, sizeof(key));
	return rc;
}

static bool over(const struct cfg_link *link, const struct cfg_vrf *vrf)
{
	return swan_is_ike(link) && link->underlay && link->underlay->vrf == vrf &&
	       link->local.af && link->ipsec.local_id && link->ipsec.remote_id;
}

int swan_render(const struct config *config, const struct cfg_vrf *vrf, FILE *out, unsigned *ret_n)
{
	const struct cfg_link *link;
	unsigned n = 0;
	int rc;

	fprintf(out, "secrets {\n");
	for (unsigned i = 0; i < config->n_links; i++) {
		link = &config->links[i];
		rc = over(link, vrf) ? secret(out, config, link) : 0;
		if (rc)
			log_event(LOG_LVL_ERR, link->name,
				"key '%s' unusable (%s): a 0600 file of one line, 1 to %u bytes; "
				"IKE fails until it is there",
				link->ipsec.key, strerror(-rc), PSK_MAX);
	}
	fprintf(out, "}\nconnections {\n");
	for (unsigned i = 0; i < config->n_links; i++)
		if (over(&config->links[i], vrf)) {
			connection(out, &config->links[i]);
			n++;
		}
	fprintf(out, "}\n");
	*ret_n = n;
	return ferror(out) ? -EIO : 0;
}
