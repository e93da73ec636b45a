package munin

import "strings"

// isKeyword reports whether munin 2.0 knows a setting's last word.
func isKeyword(word string) bool { _, ok := keywords[word]; return ok }

// isBoolean reports whether munin reads the values of the word as yes or no,
// and refuses the file at any other.
func isBoolean(word string) bool {
	switch word {
	case "debug", "fork", "tls_verify_certificate", "update", "use_node_name", "use_default_node":
		return true
	}
	return false
}

// parseBool reads a boolean as munin does.
func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "yes", "true", "on", "1":
		return true, true
	case "no", "false", "off", "0":
		return false, true
	}
	return false, false
}

// isGraphWord reports whether the word says something of a graph, and not of
// one of its fields.
func isGraphWord(word string) bool {
	switch word {
	case "graph", "update", "update_rate", "host_name", "contacts":
		return true
	}
	return strings.HasPrefix(word, "graph_")
}

// isRootKey reports whether munin itself sets the key beside the top-level
// groups, in its configuration or its datafile, or reads it there.
func isRootKey(key string) bool { _, ok := rootKeys[key]; return ok }

var rootKeys = words(`
cgitmpdir cgiurl cgiurl_graph config_file contact contacts dbdir debug domain domain_order dropdownlimit fork
graph_data_size graph_strategy html_strategy htmldir includedir local_address logdir max_cgi_graph_jobs max_graph_jobs
max_html_jobs max_processes nsca nsca_config nsca_server palette rrdcached_socket rundir spooldir ssh_command ssh_options
staticdir timeout timeout_fetch_all_nodes timeout_fetch_one_node tls tls_ca_certificate tls_certificate tls_private_key
tls_verify_certificate tls_verify_depth tmpldir version worker_start_delay`)

// keywords are the words that a setting may end in. Any other stops munin.
var keywords = words(`
address always_send category_order cdef cdef_name cgitmpdir cgiurl cgiurl_graph colour command compare contact contacts
create_args critical dbdir domain_order draw dropdownlimit extinfo fetch_data filename fork graph graphable graph_args
graph_args_after graph_category graph_data_size graph_future graph_height graph_info graph_noscale graph_order
graph_period graph_printf graph_scale graph_sources graph_strategy graph_sums graph_title graph_total graph_vlabel
graph_vtitle graph_width group_order host_name htaccess htmldir html_rename html_strategy includedir info label line
local_address logdir max max_cgi_graph_jobs max_graph_jobs max_html_jobs max_messages max_processes max_size_x
max_size_y min munin_cgi_graph_jobs nagios ncsa ncsa_config ncsa_server negative node_order notify_alias nsca
nsca_config nsca_server num_messages num_unknowns ok onlynullcdef palette pipe pipe_command port predict process
realname realservname rrdcached_socket rundir service_order skipdraw ssh_command ssh_options stack state staticdir sum
text timeout timeout_fetch_all_nodes timeout_fetch_one_node tls tls_ca_certificate tls_certificate tls_match tls_pem
tls_private_key tls_verify_certificate tls_verify_depth tmpldir trend type unknown unknown_limit update update_rate
use_default_name use_default_node use_node_name version warn warning worker_start_delay`)

func words(list string) map[string]struct{} {
	set := map[string]struct{}{}
	for word := range strings.FieldsSeq(list) {
		set[word] = struct{}{}
	}
	return set
}
