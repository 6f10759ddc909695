function (newDoc, oldDoc, userCtx, secObj) {
  function refuse(reason) {
    throw { forbidden: reason };
  }
  function has(list, item) {
    return isArray(list) && list.indexOf(item) >= 0;
  }
  var admins = (secObj && secObj.admins) || {};
  var roles = userCtx.roles || [];
  var serverAdmin = has(roles, '_admin');
  var anyAdmin = serverAdmin || has(admins.names, userCtx.name) ||
    roles.some(function (role) { return has(admins.roles, role); });

  if (newDoc._deleted === true) {
    if (!serverAdmin && !(oldDoc && userCtx.name === oldDoc.name)) {
      refuse('Only admins may delete other user docs.');
    }
    return;
  }

  // The shape of a user.
  if (newDoc.type !== 'user') refuse('doc.type must be user');
  if (!newDoc.name || typeof newDoc.name !== 'string') refuse('doc.name is required');
  if (!newDoc.roles) refuse('doc.roles must exist');
  if (!isArray(newDoc.roles)) refuse('doc.roles must be an array');
  newDoc.roles.forEach(function (role) {
    if (typeof role !== 'string') refuse('doc.roles can only contain strings');
  });
  if (newDoc._id !== 'org.couchdb.user:' + newDoc.name) {
    refuse('Doc ID must be of the form org.couchdb.user:name');
  }
  if (oldDoc && oldDoc.name !== newDoc.name) refuse('Usernames can not be changed.');

  // How the password is kept.
  if (newDoc.password_sha && !newDoc.salt) refuse('Users with password_sha must have a salt.');
  if (newDoc.password_scheme && !has(['simple', 'pbkdf2'], newDoc.password_scheme)) {
    refuse('Password scheme `' + newDoc.password_scheme + '` not supported.');
  }
  if (newDoc.password_scheme === 'pbkdf2') {
    if (typeof newDoc.iterations !== 'number') refuse('iterations must be a number.');
    if (typeof newDoc.derived_key !== 'string') refuse('derived_key must be a string.');
  }

  // Who may say what.
  if (!anyAdmin && oldDoc) {
    if (userCtx.name !== newDoc.name) refuse('You may only update your own user document.');
    var before = (oldDoc.roles || []).slice().sort();
    var after = newDoc.roles.slice().sort();
    if (JSON.stringify(before) !== JSON.stringify(after)) refuse('Only _admin may edit roles');
  } else if (!anyAdmin && newDoc.roles.length > 0) {
    refuse('Only _admin may set roles');
  }
  newDoc.roles.forEach(function (role) {
    if (role[0] === '_' && role !== '_metrics') {
      refuse('No system roles (starting with underscore) in users db.');
    }
  });
  if (newDoc.name[0] === '_') refuse('Username may not start with underscore.');
  if (newDoc.name.indexOf(':') >= 0) refuse('Character `:` is not allowed in usernames.');
}
