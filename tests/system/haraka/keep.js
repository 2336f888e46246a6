// SPDX-License-Identifier: BSD-3-Clause
//
// A plugin of Haraka: takes every recipient and every message, and keeps what it received, in the
// folder "kept": a line with the envelope's sender, then the octets. Asks no name server.
'use strict';
const fs = require('fs');
const path = require('path');

exports.hook_lookup_rdns = (next) => next(OK, 'client.example');
exports.hook_rcpt = (next) => next(OK);

exports.hook_queue = (next, connection) => {
	const { uuid, mail_from: sender, message_stream: content } = connection.transaction;
	const place = path.join(process.env.HARAKA, 'kept', uuid);
	const file = fs.createWriteStream(place);

	file.write(`${sender}\n`);
	file.on('close', () => next(OK));
	content.pipe(file);
};
