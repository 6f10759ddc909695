"""CouchDB's clients for Python, doing what their users do, against a server whose address is the
environment's SERVER_URL: couchdb3 (blocking) and aiocouch (asyncio)."""

import asyncio
import os
import unittest
from urllib.parse import urlsplit

import aiocouch
import couchdb3

URL = urlsplit(os.environ["SERVER_URL"])


class Couchdb3(unittest.TestCase):
    def setUp(self):
        self.server = couchdb3.Server(
            f"{URL.scheme}://{URL.hostname}:{URL.port}", user=URL.username, password=URL.password
        )
        self.assertTrue(self.server.up())
        if "couchdb3-test" in self.server:
            self.server.delete("couchdb3-test")
        self.db = self.server.create("couchdb3-test")

    def tearDown(self):
        self.server.delete("couchdb3-test")

    def test_documents(self):
        id, ok, rev = self.db.save({"_id": "soup", "leeks": 3})
        self.assertTrue(ok)
        self.assertEqual((id, self.db.get("soup")["leeks"]), ("soup", 3))
        self.db.save({"_id": "soup", "_rev": rev, "leeks": 4})
        with self.assertRaises(couchdb3.exceptions.ConflictError):
            self.db.save({"_id": "soup", "_rev": rev, "leeks": 5})
        self.db.bulk_docs([{"_id": f"d{n}", "n": n} for n in range(20)])
        self.assertEqual(len(self.db.all_docs().rows), 21)
        self.db.delete("soup", self.db.get("soup").rev)
        self.assertNotIn("soup", self.db)

    def test_queries(self):
        self.db.bulk_docs([{"_id": f"d{n}", "n": n} for n in range(20)])
        self.db.save_index({"fields": ["n"]}, name="n")
        found = self.db.find({"n": {"$gte": 15}}, limit=100)
        self.assertEqual(sorted(doc["n"] for doc in found["docs"]), [15, 16, 17, 18, 19])
        self.db.put_design(
            "lists", views={"n": {"map": "function (doc) { emit(doc.n, 1) }", "reduce": "_sum"}}
        )
        rows = self.db.view("lists", "n", reduce=True).rows
        self.assertEqual(rows[0].value, 20)

    def test_attachments_and_security(self):
        _, _, rev = self.db.save({"_id": "a"})
        self.db.put_attachment("a", "how.txt", content="slowly", rev=rev, content_type="text/plain")
        self.assertEqual(self.db.get_attachment("a", "how.txt").content.decode(), "slowly")
        self.db.update_security(admins={"names": [], "roles": ["_admin"]}, members={"names": [], "roles": ["cooks"]})
        self.assertEqual(self.db.security()["members"]["roles"], ["cooks"])


class Aiocouch(unittest.TestCase):
    def test_documents_queries_and_changes(self):
        asyncio.run(self.work())

    async def work(self):
        base = f"{URL.scheme}://{URL.hostname}:{URL.port}"
        async with aiocouch.CouchDB(base, user=URL.username, password=URL.password) as couch:
            await couch.check_credentials()
            db = await couch.create("aiocouch-test", exists_ok=True)
            try:
                await self.use(db)
            finally:
                await db.delete()

    async def use(self, db):
        soup = await db.create("soup", data={"leeks": 3})
        await soup.save()
        soup["leeks"] = 4
        await soup.save()
        async with db.update_docs([f"d{n}" for n in range(10)], create=True) as bulk:
            async for doc in bulk:
                doc["n"] = int(doc.id[1:])
        self.assertEqual(len([id async for id in db.akeys()]), 11)
        found = [doc["n"] async for doc in db.find({"n": {"$gt": 6}})]
        self.assertEqual(sorted(found), [7, 8, 9])
        other = await db["soup"]
        other["leeks"] = 5
        await other.save()
        with self.assertRaises(aiocouch.ConflictError):
            soup["leeks"] = 6
            await soup.save()
        seen = [event.id async for event in db.changes()]
        self.assertIn("soup", seen)
        security = await db.security()
        security.add_member_role("cooks")
        await security.save()
        self.assertIn("cooks", (await db.security()).member_roles)


if __name__ == "__main__":
    unittest.main()
