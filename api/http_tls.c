#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "api/http.h"

/*
 * Exactly the subject, not a search for "CN=" in it: what other fields say
 * must not be taken for the name. libwebsockets has verified the chain
 * (LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT); checked again here,
 * as a right hangs on it.
 */
int http_tls_subject(struct lws *wsi, char *ret, size_t size)
{
	SSL *ssl = lws_get_ssl(wsi);
	X509 *cert = ssl ? SSL_get1_peer_certificate(ssl) : NULL;
	BIO *out = BIO_new(BIO_s_mem());
	long n = -1;
	char *text;

	if (cert && out && SSL_get_verify_result(ssl) == X509_V_OK &&
	    X509_NAME_print_ex(out, X509_get_subject_name(cert), 0,
			       XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
		n = BIO_get_mem_data(out, &text);
	if (n > 0 && (size_t)n < size) {
		memcpy(ret, text, (size_t)n);
		ret[n] = '\0';
	}
	BIO_free(out);
	X509_free(cert);
	return n > 0 && (size_t)n < size ? 0 : -EACCES;
}
