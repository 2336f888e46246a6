# SPDX-License-Identifier: BSD-3-Clause
#
# Haraka as the lab's backend: a mail server that is used a lot, written in JavaScript, and lenient
# with line ends. Owns its process and its folder below the lab's; scripts/deps installs it.
"""Haraka, and the messages that it received."""
import os
import shutil
import socket

import lab as labs

HOME = '/usr/local/lib/relaygate-tests/node_modules/Haraka'
# Beside these it has the configuration that it comes with.
FILES = {'me': 'backend.example.net\n', 'plugins': 'keep\n', 'loglevel': 'WARN\n',
         'smtp.ini': 'listen=0.0.0.0:25\nnodes=0\n'}


class Haraka:
    """One process; a context manager. messages() are (sender, content), in no order."""

    def __init__(self, lab):
        self.lab = lab
        self.folder = lab.path('haraka')

    def __enter__(self):
        shutil.copytree(os.path.join(HOME, 'config'), os.path.join(self.folder, 'config'))
        for folder in ('plugins', 'kept'):
            os.mkdir(os.path.join(self.folder, folder))
        for name, text in FILES.items():
            with open(os.path.join(self.folder, 'config', name), 'w') as file:
                file.write(text)
        shutil.copy(os.path.join(labs.ROOT, 'tests', 'system', 'haraka', 'keep.js'),
                    os.path.join(self.folder, 'plugins'))
        with open(self.lab.path('haraka.log'), 'wb') as log:
            self.process = self.lab.start('backend', 'node', os.path.join(HOME, 'bin', 'haraka'),
                                          '-c', self.folder, stdout=log, stderr=log)
        try:
            labs.wait_for('Haraka greets', self.greets, 60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def greets(self):
        if self.process.poll() is not None:
            raise RuntimeError('Haraka ended: ' + self.log())
        try:
            with self.lab.inside('backend'), \
                    socket.create_connection((labs.SERVERS[4], 25), timeout=5) as connection:
                return connection.recv(4) == b'220 '
        except OSError:
            return False

    def log(self):
        return labs.read(self.lab.path('haraka.log')).decode(errors='replace')[-4000:]

    def kept(self):
        folder = os.path.join(self.folder, 'kept')
        return [os.path.join(folder, name) for name in os.listdir(folder)]

    def messages(self):
        return [tuple(labs.read(path).split(b'\n', 1)) for path in self.kept()]

    def forget(self):
        for path in self.kept():
            os.unlink(path)
